from collections.abc import Callable, Mapping, Sequence
from itertools import count

import pytest

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.rule import StoppingRule


@pytest.fixture
def train() -> Callable[..., tuple[int, str] | None]:
    """A function that trains trials one after the other and returns when and why a rule stopped one.

    values: what the trial reports, in the user's own direction; steps: at which steps, 1, 2, 3... by default;
    others: further metrics of every report.
    """
    trial_ids = count()

    def trained(
        rule: StoppingRule,
        subject: Subject,
        values: Sequence[float],
        steps: Sequence[int] = (),
        others: Mapping[str, float | Sequence[float]] | None = None,
    ) -> tuple[int, str] | None:
        curve, reason = Curve(next(trial_ids)), None
        for k, value in enumerate(values):
            more = {name: it[k] if isinstance(it, Sequence) else it for name, it in (others or {}).items()}
            curve.add(steps[k] if steps else k + 1, subject.loss(value), {subject.metric: value, **more})
            reason = rule.judge(curve)
            if reason is not None:
                break
        rule.close(curve, reason is None)
        return None if reason is None else (curve.steps[-1], reason)

    return trained
