"""What is odd about the steps that trials report: no error, but stopping rules go by the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deephpo.problem import Declaration
from deephpo.stopping.create import NO_RULE
from deephpo.storage.records import Reported
from deephpo.storage.run_state import RunState
from deephpo.trial import Report


class StepRemarks:
    """Says what it means, of the first trial whose steps do not rise and of the first beyond the last step.

    Nothing is said where no rule judges.
    """

    def __init__(self) -> None:
        self._fell = self._passed = False
        """Whether that was said already."""

    def of(self, record: Reported, state: RunState) -> str:
        """Return what is to be said of a report, which ``state`` holds already; empty if nothing."""
        report, declaration = record.report, state.declaration
        if (self._fell and self._passed) or declaration is None or not _is_judged(report, declaration, state):
            return ""
        if not self._fell and (fall := _fall(state.trials[report.trial_id].curve, declaration)):
            self._fell = True
            return f"trial {report.trial_id} reported {fall}"
        if not self._passed and (passage := _passage(report.step, declaration)):
            self._passed = True
            return f"trial {report.trial_id} reported {passage}"
        return ""


def _is_judged(report: Report, declaration: Declaration, state: RunState) -> bool:
    """Return whether a stopping rule sees such a report."""
    rule = state.options.get("stop", {}).get("value", NO_RULE)
    return rule != NO_RULE and declaration.objective in report.metrics


def _fall(curve: Sequence[tuple[float, int, Mapping[str, float]]], declaration: Declaration) -> str:
    """Return what the last report of an attempt comes after, if its step is not above the one before.

    Reports without the objective, in between, are in steps of their own: no rule sees them.
    """
    step = curve[-1][1]
    earlier = (curve[place] for place in range(len(curve) - 2, -1, -1))
    before = next((at for _, at, metrics in earlier if declaration.objective in metrics), None)
    if before is None or step > before:
        return ""
    unit = _unit(declaration)
    return f"{unit} {step} after {unit} {before}: a stopping rule sees only what comes with a higher {unit}"


def _passage(step: int, declaration: Declaration) -> str:
    """Return which last step a report is beyond; empty if none."""
    if declaration.fidelity is None or step <= declaration.fidelity.high:
        return ""
    unit, last = _unit(declaration), declaration.fidelity.high
    return (
        f"{unit} {step}, but a training is complete with {unit} {last}: no stopping rule acts from there on; "
        f"Fidelity({unit!r}, {last}) in the problem should name its last {unit}"
    )


def _unit(declaration: Declaration) -> str:
    return "step" if declaration.fidelity is None else declaration.fidelity.name
