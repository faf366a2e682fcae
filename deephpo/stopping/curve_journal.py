"""Learning curves in the journal of a run: what each trial reported over all its attempts, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deephpo.errors import RunDirectoryError
from deephpo.problem import Declaration
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Begun, Ended, Reported, Resumed, Started
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import Report, TrialState


@dataclass
class Attempts:
    """What a journal says of one trial, over all its attempts."""

    began_s: float = 0.0
    """When its time began to count: that of its last start, less what it had trained before."""
    starts_afresh: bool = True
    """Whether it has not reported since its last start."""
    curve: list[tuple[float, Report]] = field(default_factory=list)
    """Its reports, with the seconds that it had trained by then."""
    state: TrialState | None = None
    """How its last attempt ended."""

    def start(self, time_s: float) -> None:
        """Take note that the trial goes out, maybe again."""
        self.began_s, self.starts_afresh = time_s, True

    def report(self, time_s: float, report: Report) -> None:
        """Let the curve go on."""
        if self.starts_afresh:
            # It goes on from its checkpoint, or from the beginning: what it did twice counts once.
            self.curve = [point for point in self.curve if point[1].step < report.step]
            self.began_s -= self.curve[-1][0] if self.curve else 0.0
            self.starts_afresh = False
        if self.curve and report.step <= self.curve[-1][1].step:  # as for a judge, it changes nothing
            return
        self.curve.append((time_s - self.began_s, report))


@dataclass(frozen=True)
class CurveJournal:
    """What the journal of a run says."""

    declaration: Declaration
    trials: Mapping[int, Attempts]
    """By their numbers, in the order in which they began."""


def read_curve_journal(directory: RunDirectory) -> CurveJournal:
    """Return the curves of a run; raises RunDirectoryError if there is none."""
    directory.require()
    declaration: Declaration | None = None
    trials: dict[int, Attempts] = {}
    for record in read_journal(directory.journal):
        match record:
            case Reported():
                trials[record.report.trial_id].report(record.time_s, record.report)
            case Started():
                trials.setdefault(record.trial_id, Attempts()).start(record.time_s)
            case Ended():
                trials[record.outcome.trial_id].state = record.outcome.state
            case Begun() | Resumed():
                declaration = Declaration.from_dict(record.declaration)
    if declaration is None:
        raise RunDirectoryError(f"{directory.journal} holds no run: it is empty.")
    return CurveJournal(declaration, trials)
