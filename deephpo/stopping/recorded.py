"""Recorded learning curves, by which rules are judged: those of a run directory, or of a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from deephpo.errors import OptionError, RunDirectoryError
from deephpo.problem import Declaration, Direction
from deephpo.stopping.curve import Subject
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Begun, Ended, Record, Reported, Resumed, Started
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import Report, TrialState

LAYOUT = "trial,step,VALUE or trial,step,VALUE,seconds"
"""The first line of a file of curves; VALUE is the name of the metric."""
_MOST = 10**15
"""So far no step and no second counts: their sums are to be exact."""


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
    unit: str = "step"
    """What a step is called, such as "epoch"."""
    timed: bool = True
    """Whether it is known when reports came."""
    left_out: int = 0
    """So many trials have no whole curve: they were stopped, preempted, or reported nothing."""

    @cached_property
    def best(self) -> float:
        """The smallest loss of all trials."""
        return min(trial.best for trial in self.trials)

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
    return replace(recording, subject=replace(recording.subject, last_step=last_step))


def _of_run(path: Path, direction: Direction | None) -> Recording:
    directory = RunDirectory(path)
    directory.require()
    journal = _Journal()
    journal.read(read_journal(directory.journal))
    declaration = journal.declaration
    if declaration is None:
        raise RunDirectoryError(f"{directory.journal} holds no run: it is empty.")
    if direction not in (None, declaration.direction):
        raise OptionError(
            f"--direction is for files: the run in {path} says itself that {declaration.objective} is to be "
            f"{declaration.direction}d, not {direction}d."
        )
    subject = Subject(
        declaration.objective,
        declaration.direction,
        declaration.fidelity.high if declaration.fidelity else None,
    )
    trials = tuple(journal.trials(subject))
    if not trials:
        raise RunDirectoryError(
            f"{path} holds no learning curves: no trial that ended by itself has reported "
            f"{subject.metric!r}; trials do so with ctx.report(step, {subject.metric}=...)."
        )
    unit = declaration.fidelity.name if declaration.fidelity else "step"
    return Recording(declaration.name, subject, trials, unit, left_out=len(journal.lives) - len(trials))


@dataclass
class _Life:
    """What a journal says of one trial."""

    began_s: float = 0.0
    """When its time began to count: that of its last start, less what it had trained before."""
    starts_afresh: bool = True
    """Whether it has not reported since its last start."""
    curve: list[tuple[float, Report]] = field(default_factory=list)
    """Its reports, with the seconds that it had trained by then."""
    state: TrialState | None = None

    def start(self, time_s: float) -> None:
        self.began_s, self.starts_afresh = time_s, True

    def report(self, time_s: float, report: Report) -> None:
        if self.starts_afresh:
            # It goes on from its checkpoint, or from the beginning: what it did twice counts once.
            self.curve = [point for point in self.curve if point[1].step < report.step]
            self.began_s -= self.curve[-1][0] if self.curve else 0.0
            self.starts_afresh = False
        if self.curve and report.step <= self.curve[-1][1].step:  # as for a judge, it changes nothing
            return
        self.curve.append((time_s - self.began_s, report))


class _Journal:
    """The trials of a journal, and what they are judged by."""

    def __init__(self) -> None:
        self.declaration: Declaration | None = None
        self.lives: dict[int, _Life] = {}
        """In the order in which they began."""

    def read(self, records: Iterable[Record]) -> None:
        """Take all records."""
        for record in records:
            match record:
                case Reported():
                    self.lives[record.report.trial_id].report(record.time_s, record.report)
                case Started():
                    self.lives.setdefault(record.trial_id, _Life()).start(record.time_s)
                case Ended():
                    self.lives[record.outcome.trial_id].state = record.outcome.state
                case Begun() | Resumed():
                    self.declaration = Declaration.from_dict(record.declaration)

    def trials(self, subject: Subject) -> Iterator[RecordedTrial]:
        """Yield those that ended by themselves, and have reported the metric."""
        for trial_id, life in self.lives.items():
            points = [point for point in life.curve if subject.metric in point[1].metrics]
            if points and life.state in (TrialState.COMPLETED, TrialState.FAILED):
                yield RecordedTrial(
                    trial_id,
                    [report.step for _, report in points],
                    [subject.loss(report.metrics[subject.metric]) for _, report in points],
                    [seconds for seconds, _ in points],
                    [report.metrics for _, report in points],
                    life.state is TrialState.COMPLETED,
                )


def _of_file(path: Path, direction: Direction | None) -> Recording:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # as spreadsheets write it
    except FileNotFoundError:
        raise OptionError(f"There is no run directory and no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} cannot be read as text ({error}).") from None
    rows = _rows(path, lines)
    metric, timed = _header(path, next(rows, (1, []))[1])
    if direction is None:
        raise OptionError(
            f"{path} does not say whether {metric!r} is better small or large: add --direction minimize or "
            "--direction maximize."
        )
    subject = Subject(metric, direction)
    columns: dict[int, _Columns] = {}
    for line, row in rows:
        if not row:
            continue
        where = f"{path}, line {line}"
        trial, step, value, seconds = _numbers(where, row, timed)
        columns.setdefault(trial, _Columns()).add(where, trial, step, value, seconds)
    if not columns:
        raise OptionError(f"{path} holds no curves: its first line is its only one.")
    trials = tuple(
        RecordedTrial(
            trial,
            own.steps,
            [subject.loss(value) for value in own.values],
            own.seconds,
            [{metric: value} for value in own.values],
        )
        for trial, own in columns.items()
    )
    return Recording(path.stem, subject, trials, timed=timed)


def _rows(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows of a file with the numbers of their lines; raises OptionError for what is no row."""
    rows = csv.reader(lines)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise OptionError(f"{path}, line {rows.line_num}: {error}.") from None


def _header(path: Path, row: Sequence[str]) -> tuple[str, bool]:
    """Return the metric's name, and whether there are times; raises OptionError for another first line."""
    names = [name.strip() for name in row]
    fits = names[:2] == ["trial", "step"] and names[3:] in ([], ["seconds"]) and any(names[2:])
    if not fits:
        raise OptionError(
            f"{path}, line 1: a file of curves begins with the names of its columns, {LAYOUT}, "
            f"not {','.join(row)[:60]!r}."
        )
    return names[2], len(names) == 4


def _numbers(where: str, row: Sequence[str], timed: bool) -> tuple[int, int, float, float]:
    """Return trial, step, value and seconds of a line; a value that is left out is NaN."""
    if len(row) != 3 + timed:
        raise OptionError(f"{where}: a line has {3 + timed} columns as the first one does, not {len(row)}.")
    trial, step = (_whole(where, name, text) for name, text in zip(("trial", "step"), row, strict=False))
    value = _number(where, "value", row[2].strip() or "nan")
    return trial, step, value, _number(where, "seconds", row[3]) if timed else float(step)


def _whole(where: str, name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise OptionError(f"{where}: {name} must be a whole number, not {text[:40]!r}.") from None
    if abs(number) >= _MOST:
        raise OptionError(f"{where}: {name} must be below {_MOST:g}, not {text[:40]}.")
    return number


def _number(where: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{where}: {name} must be a number, not {text!r}.") from None


@dataclass
class _Columns:
    """The lines of one trial in a file."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, where: str, trial: int, step: int, value: float, seconds: float) -> None:
        last_step, last_s = (self.steps[-1], self.seconds[-1]) if self.steps else (0, 0.0)
        if step <= last_step:
            raise OptionError(
                f"{where}: the steps of a trial are above 0 and rise, but trial {trial} goes from "
                f"{last_step} to {step}."
            )
        if not last_s <= seconds < _MOST:
            raise OptionError(
                f"{where}: seconds count from the trial's start and rise, but those of trial {trial} go from "
                f"{last_s:g} to {seconds:g}."
            )
        self.steps.append(step)
        self.values.append(value)
        self.seconds.append(seconds)
