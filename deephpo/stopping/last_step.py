"""The step with which a training is complete, for the rules that count from it."""

from __future__ import annotations

from deephpo.errors import OptionError
from deephpo.stopping.curve import Subject


def last_step_of(subject: Subject, rule: str, otherwise: str = "") -> int:
    """Return the last step; raises OptionError if the problem does not say it.

    otherwise: what else would do, a half sentence.
    """
    if subject.last_step is None:
        raise OptionError(
            f"The rule {rule!r} must know the step with which a training is complete: declare it in the "
            f'problem, Problem(..., fidelity=Fidelity("epoch", 50)) for 50 epochs{otherwise}.'
        )
    return subject.last_step
