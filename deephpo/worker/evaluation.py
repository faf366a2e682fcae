"""One evaluation: call the user's ``run``, and say how it ended, whatever it does."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from deephpo.errors import TrialStopped, UserError
from deephpo.problem import Problem
from deephpo.space.values import is_whole, plain
from deephpo.trial import Outcome, Report, TrialState, printable
from deephpo.worker.context import Context, as_number
from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Meeting, PartEnded

_ALONE = (
    "its ranks never met: without ctx.horovod() or ctx.torch() each trained the same by itself, unless they "
    "speak in a way of their own. "
)
_MOST_DETAIL = 20_000
"""More characters than this of a traceback, whose message may hold an array, are not kept."""


def evaluate(
    problem: Problem,
    assignment: Assignment,
    send: Callable[[Report | Meeting], None],
    inbox: Inbox | None = None,
) -> Outcome | PartEnded:
    """Return the outcome of one trial; what ``run`` raises becomes a failure, unless it was to stop.

    send, inbox: to and from the search process.  Of a trial that several train together the leader's
    process returns the outcome; the others return their failure, or that they did their part.
    """
    inbox = inbox or Inbox(assignment)
    outcome = _guarded(problem, assignment, send, inbox)
    if inbox.halted and isinstance(outcome, Outcome):
        reason = outcome.reason if outcome.state is TrialState.FAILED else ""
        return replace(outcome, state=TrialState.STOPPED, value=None, reason=reason)
    return outcome


def _guarded(
    problem: Problem, assignment: Assignment, send: Callable[[Report | Meeting], None], inbox: Inbox
) -> Outcome | PartEnded:
    """Call ``run``, and return how it ended."""
    fidelity = problem.declaration.fidelity
    context = Context(assignment, fidelity.high if fidelity else None, send, inbox)
    config = dict(assignment.config)
    try:
        # What is wrong with it made a single rank of the trial, and is its own failure.
        if problem.ranks is not None and assignment.place.size == 1:
            checked_ranks(problem.ranks(dict(config)))
        returned = problem.run(config, context) if problem.takes_context else problem.run(config)
        if assignment.place.rank > 0:
            return PartEnded(assignment.trial_id)
        outcome = judge(assignment, returned, problem.declaration.objective)
        if context.met or outcome.state is TrialState.FAILED:
            return outcome
        return replace(outcome, reason=f"{_ALONE}{outcome.reason}".rstrip())
    except TrialStopped as error:  # told to, or of its own accord
        why = _one_line(error).removeprefix("TrialStopped").removeprefix(": ")
        stopped = Outcome(assignment.trial_id, TrialState.STOPPED, reason=why or "it gave itself up")
        return stopped if assignment.place.rank == 0 else PartEnded(assignment.trial_id)
    except UserError as error:  # a whole sentence, with the cure at its end
        return _failed(assignment, str(error))
    except SystemExit as error:
        return _failed(assignment, f"run() called sys.exit({error.code!r})", traceback.format_exc())
    except BaseException as error:  # noqa: BLE001  (the process border: a trial cannot hurt the search)
        return _failed(assignment, _one_line(error), traceback.format_exc())


def ranks_of(problem: Problem, assignment: Assignment) -> Outcome:
    """Return, as an outcome's value, how many workers the problem wants for a configuration."""
    try:
        ranks = 1 if problem.ranks is None else checked_ranks(problem.ranks(dict(assignment.config)))
    except BaseException as error:  # noqa: BLE001  (the process border: a trial cannot hurt the search)
        return _failed(assignment, _one_line(error), traceback.format_exc())
    return Outcome(assignment.trial_id, TrialState.COMPLETED, float(ranks))


def checked_ranks(ranks: Any) -> int:
    """Return what ``ranks(config)`` said; raises ValueError if it is no whole number from 1 on."""
    number = plain(ranks)
    if not is_whole(number, 1):
        raise ValueError(f"ranks(config) must return a whole number from 1 on, not {ranks!r}")
    return number


def judge(assignment: Assignment, returned: Any, objective: str) -> Outcome:
    """Return the outcome that a return value of ``run`` stands for."""
    metrics = returned if isinstance(returned, Mapping) else {objective: returned}
    if objective not in metrics:
        keys = ", ".join(repr(key) for key in metrics) or "nothing"
        return _failed(
            assignment, f"run() returned a dict with {keys}, but without the objective {objective!r}"
        )
    value = as_number(metrics[objective])
    if value is None:
        what = f"the objective {objective!r} as" if isinstance(returned, Mapping) else ""
        reason = f"run() returned {what} {_short(metrics[objective])}; it must return a number".replace(
            "  ", " "
        )
        return _failed(assignment, f"{reason}, or a dict that holds {objective!r}")
    numbers = {str(name): as_number(metric) for name, metric in metrics.items()}
    kept = {name: number for name, number in numbers.items() if number is not None}
    if not math.isfinite(value):
        return Outcome(assignment.trial_id, TrialState.FAILED, metrics=kept, reason=f"{objective} is {value}")
    dropped = [name for name, number in numbers.items() if number is None]
    reason = f"left out, being no numbers: {', '.join(dropped)}" if dropped else ""
    return Outcome(assignment.trial_id, TrialState.COMPLETED, value, kept, reason)


def _failed(assignment: Assignment, reason: str, detail: str = "") -> Outcome:
    if len(detail) > _MOST_DETAIL:
        detail = f"{detail[: _MOST_DETAIL // 2]}\n...\n{detail[-_MOST_DETAIL // 2 :]}"
    return Outcome(assignment.trial_id, TrialState.FAILED, reason=printable(reason), detail=printable(detail))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return _shorten(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _short(value: Any) -> str:
    return _shorten(repr(value))


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
