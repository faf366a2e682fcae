"""The judge: passes what trials report to the rule, and remembers what it said."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from deephpo.errors import OptionError
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.extrapolation import Extrapolation
from deephpo.stopping.lesson import Lesson
from deephpo.stopping.rule import PromotingRule, StoppingRule
from deephpo.stopping.unheard import Unheard
from deephpo.storage.records import Ended, Promoted, Record, Reported
from deephpo.trial import Outcome, Report, TrialState


class _Verdict(NamedTuple):
    """What the rule said of a trial."""

    reason: str
    value: float | None
    """What the trial stands for by what it had reached then: how soon it hears of it is to change nothing."""
    foreseen: float | None = None


class Judge:
    """Knows the curves of all trials that are not over.

    rule: None if no trial is ever to be stopped.  lesson: which value a stopped trial stands for.
    promote: whether stopped trials go on when the rule takes its verdict back; raises OptionError if it is
    one that never does.  also: the metrics beside the objective that a report must hold to be judged; the
    outcome of the first trial that completes without such a report says so.
    """

    def __init__(
        self,
        rule: StoppingRule | None,
        subject: Subject,
        lesson: Lesson = "best",
        promote: bool = False,
        also: Sequence[str] = (),
    ) -> None:
        self._promoting = _promoting(rule) if promote else None
        self._prophet = Extrapolation(subject) if lesson == "extrapolated" and rule is not None else None
        self._rule = rule
        self._subject = subject
        self._lesson = lesson
        self._unheard = Unheard(subject.metric, also)
        self._curves: dict[int, Curve] = {}
        self._verdicts: dict[int, _Verdict] = {}
        self._late: dict[int, list[Report]] = {}
        """What trials said after their verdicts, which hear of them sooner or later: nobody judges that."""
        self._paused: dict[int, Curve] = {}
        """The curves of stopped trials that may be promoted."""
        self._pardoned: set[int] = set()
        """The trials that are to be promoted as soon as they have stopped."""
        self._due: deque[int] = deque()
        """The trials that are to be promoted now."""

    def hear(self, report: Report) -> str | None:
        """Take a report of a running trial; returns why the trial is to be stopped, None if it is not.

        What a trial that was started again says of steps that it was at before changes nothing.
        """
        value = report.metrics.get(self._subject.metric)
        if value is None:
            return None
        trial_id = report.trial_id
        self._unheard.hear(report)
        curve = self._curves.get(trial_id)
        if curve is None:
            curve = self._curves[trial_id] = Curve(trial_id)
        if trial_id in self._verdicts:
            self._late.setdefault(trial_id, []).append(report)
        else:
            # One that was promoted is judged by what it had said after its verdict, as it goes on from there.
            late = [before for before in self._late.pop(trial_id, ()) if before.step < report.step]
            for told in (*late, report):
                if trial_id not in self._verdicts and self._add(curve, told) and self._rule is not None:
                    self._consider(self._rule, curve)
            self._take_back()
        verdict = self._verdicts.get(trial_id)
        return None if verdict is None else verdict.reason

    def _add(self, curve: Curve, report: Report) -> bool:
        """Let a curve go on with a report; returns whether it is a new one."""
        if curve.steps and report.step <= curve.steps[-1]:
            return False
        curve.add(report.step, self._subject.loss(report.metrics[self._subject.metric]), report.metrics)
        return True

    def close(self, outcome: Outcome) -> Outcome:
        """Take note that a trial is over; returns its outcome, with a value if it was stopped and has one."""
        trial_id = outcome.trial_id
        curve, verdict = self._curves.pop(trial_id, None), self._verdicts.pop(trial_id, None)
        stopped = outcome.state is TrialState.STOPPED
        late, pardoned = self._late.pop(trial_id, []), trial_id in self._pardoned
        self._pardoned.discard(trial_id)
        if curve is None:
            return outcome
        for report in () if stopped else late:  # it came to its end before it heard of its verdict
            self._add(curve, report)
        for rule in (self._rule, self._prophet):
            if rule is not None:
                rule.close(curve, outcome.state is TrialState.COMPLETED)
        outcome = self._unheard.close(outcome)
        if not stopped:
            return outcome
        if verdict is None:  # it stopped of its own accord
            return replace(outcome, value=self._worth(curve))
        if self._promoting is not None and verdict.value is not None:
            self._paused[trial_id], self._late[trial_id] = curve, late
            if pardoned:
                self._due.append(trial_id)
        reason = f"{verdict.reason} ({outcome.reason})" if outcome.reason else verdict.reason
        return replace(outcome, value=verdict.value, reason=reason, foreseen=verdict.foreseen)

    def promotion(self) -> int | None:
        """Return a stopped trial that is to go on after all, each once; None if there is none."""
        if not self._due:
            return None
        trial_id = self._due[0]
        self._go_on(trial_id)
        return trial_id

    def recall(self, records: Iterable[Record]) -> None:
        """Hear what an earlier process heard, so as to judge as it would have gone on to."""
        for record in records:
            if isinstance(record, Reported):
                self.hear(record.report)
            elif isinstance(record, Ended) and record.outcome.state is not TrialState.PREEMPTED:
                self.close(record.outcome)
            elif isinstance(record, Promoted):
                self._go_on(record.trial_id)

    def _consider(self, rule: StoppingRule, curve: Curve) -> None:
        reason = rule.judge(curve)
        last = self._subject.last_step
        # With its last step a training is complete, and there is nothing left to spare.
        if reason is not None and (last is None or curve.steps[-1] < last):
            when = f"at {self._subject.unit} {curve.steps[-1]}"
            why = f"{when}, {reason}"
            self._verdicts[curve.trial_id] = _Verdict(why, self._worth(curve), self._foresee(curve))

    def _take_back(self) -> None:
        """Let trials go on that the rule would have kept by now: those that still run as soon as they stop.

        With every report, not when somebody asks, so that a resumed search does it where the first one did.
        """
        while self._promoting is not None and (trial_id := self._promoting.promote()) is not None:
            if trial_id in self._paused:
                self._due.append(trial_id)
            elif trial_id in self._verdicts:
                self._pardoned.add(trial_id)

    def _go_on(self, trial_id: int) -> None:
        """Let a stopped trial's curve go on; it begins anew if another rule than this one stopped it."""
        if trial_id in self._due:
            self._due.remove(trial_id)
        if (curve := self._paused.pop(trial_id, None)) is not None:
            self._curves[trial_id] = curve

    def _foresee(self, curve: Curve) -> float | None:
        """Return where a curve is heading, in the user's own direction; None if nobody wants to know."""
        if self._prophet is None or not math.isfinite(loss := self._prophet.final(curve)):
            return None
        return self._subject.loss(loss)

    def _worth(self, curve: Curve) -> float | None:
        """Return what a stopped trial's curve stands for, in the user's own direction; None if nothing."""
        loss = curve.losses[-1] if self._lesson == "last" else curve.best
        return self._subject.loss(loss) if math.isfinite(loss) else None


def _promoting(rule: StoppingRule | None) -> PromotingRule:
    if isinstance(rule, PromotingRule) and rule.promotes:
        return rule
    raise OptionError(
        "--promote continues trials that successive halving stopped, so it needs a rule such as "
        "--stop asha or --stop hyperband, and one objective."
    )
