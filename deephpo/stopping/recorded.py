"""Recorded learning curves, by which rules are judged: those of a run directory, or of a CSV file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from deephpo.errors import OptionError, RunDirectoryError
from deephpo.problem import Direction
from deephpo.stopping.curve import Subject
from deephpo.stopping.curve_file import read_curve_file
from deephpo.stopping.curve_journal import CurveJournal, read_curve_journal
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import TrialState


@dataclass(frozen=True)
class RecordedTrial:
    """One training that no rule has stopped, report by report."""

    id: int
    steps: Sequence[int]
    losses: Sequence[float]
    """One for each step, the smaller the better; NaN and infinity are possible."""
    seconds: Sequence[float]
    """When each report came, since the trial's start; the steps themselves where no time is known."""
    metrics: Sequence[Mapping[str, float]]
    """All that each report said, in the user's own terms."""
    completed: bool = True
    """Whether it trained to its end, and did not fail before."""

    @cached_property
    def best(self) -> float:
        """The smallest loss of its curve; infinity if there is none, or if it failed."""
        finite = (loss for loss in self.losses if math.isfinite(loss))
        return min(finite, default=math.inf) if self.completed else math.inf


@dataclass(frozen=True)
class Recording:
    """The curves of a search, in the order in which its trials began."""

    name: str
    subject: Subject
    trials: Sequence[RecordedTrial]
    timed: bool = True
    """Whether it is known when reports came."""
    left_out: int = 0
    """So many trials have no whole curve: they were stopped, preempted, or reported nothing."""

    @cached_property
    def best(self) -> float:
        """The smallest loss of all trials."""
        return min(trial.best for trial in self.trials)

    def holds(self, metrics: Iterable[str]) -> bool:
        """Return whether any report holds all of these metrics."""
        names = {*metrics}
        return any(report.keys() >= names for trial in self.trials for report in trial.metrics)

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics of all reports."""
        return sorted({name for trial in self.trials for report in trial.metrics for name in report})

    @cached_property
    def steps(self) -> int:
        """The steps of all trials together."""
        return sum(trial.steps[-1] for trial in self.trials)

    @cached_property
    def seconds(self) -> float:
        """The time of all trials together."""
        return sum(trial.seconds[-1] for trial in self.trials)


def read_recording(path: Path, direction: Direction | None, last_step: int | None) -> Recording:
    """Return the curves of a run directory or of a CSV file.

    direction: a file does not say it, and a run says it itself.  last_step: the step with which a training
    is complete; None for what the problem says, or the longest curve's last one.

    Raises OptionError or RunDirectoryError, naming the line, for anything that is no recorded curves.
    """
    recording = _of_run(path, direction) if path.is_dir() else _of_file(path, direction)
    if not math.isfinite(recording.best):
        raise OptionError(f"{path}: no trial that was trained to its end has a {recording.subject.metric}.")
    longest = max(trial.steps[-1] for trial in recording.trials)
    if last_step is not None and last_step < longest:
        raise OptionError(
            f"--last-step must be at least {longest}, the longest curve's last one, not {last_step}."
        )
    last_step = last_step or max(longest, recording.subject.last_step or 0)
    if last_step == 0:
        raise OptionError(
            f"{path}: no trial has reported beyond step 0, so there is nothing to spare; a step says how "
            "much was trained by then, such as the epoch."
        )
    return replace(recording, subject=replace(recording.subject, last_step=last_step))


def _of_run(path: Path, direction: Direction | None) -> Recording:
    journal = read_curve_journal(RunDirectory(path))
    declaration, fidelity = journal.declaration, journal.declaration.fidelity
    if direction not in (None, declaration.direction):
        raise OptionError(
            f"--direction is for files: the run in {path} says itself that {declaration.objective} is to be "
            f"{declaration.direction}d, not {direction}d."
        )
    subject = Subject(declaration.objective, declaration.direction)
    if fidelity is not None:
        subject = replace(subject, last_step=fidelity.high, unit=fidelity.name)
    trials = tuple(_whole_curves(journal, subject))
    if not trials:
        raise RunDirectoryError(
            f"{path} holds no learning curves: no trial that ended by itself has reported "
            f"{subject.metric!r}; trials do so with ctx.report(step, {subject.metric}=...)."
        )
    return Recording(declaration.name, subject, trials, left_out=len(journal.trials) - len(trials))


def _whole_curves(journal: CurveJournal, subject: Subject) -> Iterator[RecordedTrial]:
    """Yield the trials that ended by themselves, and have reported the metric."""
    for trial_id, attempts in journal.trials.items():
        points = [point for point in attempts.curve if subject.metric in point[1].metrics]
        if points and attempts.state in (TrialState.COMPLETED, TrialState.FAILED):
            yield RecordedTrial(
                trial_id,
                [report.step for _, report in points],
                [subject.loss(report.metrics[subject.metric]) for _, report in points],
                [seconds for seconds, _ in points],
                [report.metrics for _, report in points],
                attempts.state is TrialState.COMPLETED,
            )


def _of_file(path: Path, direction: Direction | None) -> Recording:
    file = read_curve_file(path)
    if direction is None:
        raise OptionError(
            f"{path} does not say whether {file.metric!r} is better small or large: add --direction minimize "
            "or --direction maximize."
        )
    subject = Subject(file.metric, direction)
    trials = tuple(
        RecordedTrial(
            trial_id,
            lines.steps,
            [subject.loss(value) for value in lines.values],
            lines.seconds,
            [{file.metric: value} for value in lines.values],
        )
        for trial_id, lines in file.trials.items()
    )
    return Recording(path.stem, subject, trials, timed=file.timed)
