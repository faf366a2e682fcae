"""What changed between a problem as a run's journal has it and the problem as it is now."""

from __future__ import annotations

from dataclasses import dataclass

from deephpo.problem import Declaration
from deephpo.space.parameters import Categorical, Parameter


@dataclass(frozen=True)
class Changes:
    """Sentences about what changed, parted by whether a search can go on."""

    harmless: tuple[str, ...] = ()
    """The observations so far keep their meaning: a wider bound, a new default."""
    harmful: tuple[str, ...] = ()
    """They do not."""


def changes_between(before: Declaration, now: Declaration) -> Changes:
    """Return what changed; two empty lists if nothing did."""
    harmless: list[str] = []
    harmful: list[str] = []
    for name in ("objective", "direction", "fidelity"):
        if getattr(before, name) != getattr(now, name):
            harmful.append(f"the {name} was {getattr(before, name)!r} and is {getattr(now, name)!r}")
    if before.space.forbidden != now.space.forbidden:
        harmful.append("the forbidden combinations are others")
    old, new = before.space.by_name, now.space.by_name
    harmful += [f"the parameter {name!r} is gone" for name in old if name not in new]
    harmful += [f"the parameter {name!r} is new" for name in new if name not in old]
    if not harmful and list(old) != list(new):
        harmful.append("the parameters stand in another order")
    for name in old:
        if name in new:
            _compare(old[name], new[name], harmless, harmful)
    if before.start != now.start:
        harmless.append("the starting points are others; those that were not tried yet are not made up for")
    for name in ("optimum", "trial_timeout_s", "trial_memory_bytes", "resumable", "ranks"):
        if getattr(before, name) != getattr(now, name):
            harmless.append(f"{name} was {getattr(before, name)} and is {getattr(now, name)}")
    return Changes(tuple(harmless), tuple(harmful))


def _compare(old: Parameter, new: Parameter, harmless: list[str], harmful: list[str]) -> None:
    if type(old) is not type(new):
        harmful.append(f"{old.name!r} was {old} and is {new}")
        return
    if old.alternatives != new.alternatives:
        harmful.append(f"{old.name!r} is active under another condition")
    if old.default != new.default:
        harmless.append(f"the default of {old.name!r} changed")
    if isinstance(old, Categorical) or isinstance(new, Categorical):
        if isinstance(old, Categorical) and isinstance(new, Categorical) and old.choices != new.choices:
            harmful.append(f"{old.name!r} has other choices")
        return
    if (old.log, old.step) != (new.log, new.step):
        harmful.append(f"{old.name!r} has another scale or step")
    bounds = (
        f"the bounds of {old.name!r} were {old.low:g} to {old.high:g} and are {new.low:g} to {new.high:g}"
    )
    if new.low > old.low or new.high < old.high:
        harmful.append(f"{bounds}, which is narrower")
    elif not new.contains(old.low):
        harmful.append(f"{bounds}, and its steps fall on other values")
    elif (new.low, new.high) != (old.low, old.high):
        harmless.append(bounds)
