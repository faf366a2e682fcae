"""What a user declares: a space, a function to evaluate, and what is to become of its result."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from deephpo.errors import ProblemError, SpaceError
from deephpo.space.conditions import same_value
from deephpo.space.space import Space, as_space
from deephpo.space.values import is_number, is_whole, plain
from deephpo.trial import Config

Direction = Literal["minimize", "maximize"]
DIRECTIONS: tuple[Direction, ...] = ("minimize", "maximize")

Run = Callable[..., Any]
"""``run(config, ctx)`` or ``run(config)``; it returns a number, or a dict that holds the objective."""


@dataclass(frozen=True)
class Fidelity:
    """How far a trial can be trained: the steps that ``run`` reports against, such as epochs."""

    name: str
    high: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain(self.name))
        object.__setattr__(self, "high", plain(self.high))
        if not isinstance(self.name, str) or not self.name:
            raise ProblemError(f"Fidelity: the first argument is a name such as 'epoch', not {self.name!r}.")
        if not is_whole(self.high, 1):
            raise ProblemError(
                f"Fidelity {self.name!r}: high is the last step, at least 1, not {self.high!r}."
            )


@dataclass(frozen=True)
class Declaration:
    """Everything about a problem but its code: the value that crosses from a child to the master."""

    name: str
    space: Space
    objective: str = "objective"
    direction: Direction = "minimize"
    fidelity: Fidelity | None = None
    start: tuple[Config, ...] = ()
    """Complete configurations to evaluate first, in this order."""
    optimum: float | None = None
    """The best possible objective, where it is known."""
    trial_timeout_s: float | None = None
    """A trial that runs longer is ended, and has failed."""
    trial_memory_bytes: int | None = None
    """A trial that takes more memory, its process tree counted, is ended, and has failed."""
    resumable: bool = False
    """Whether a trial that is started again goes on from the checkpoint in its directory."""
    ranks: int | None = 1
    """How many workers train a trial together; None: that depends on its configuration."""

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as plain values for JSON."""
        fidelity = asdict(self.fidelity) if self.fidelity else None
        start = [dict(config) for config in self.start]
        return {**vars(self), "space": self.space.to_dict(), "fidelity": fidelity, "start": start}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Declaration:
        """Return the declaration that :meth:`to_dict` wrote."""
        fidelity = Fidelity(**record["fidelity"]) if record["fidelity"] else None
        space, start = Space.from_dict(record["space"]), tuple(record["start"])
        return cls(**{**record, "space": space, "fidelity": fidelity, "start": start})


class Problem:
    """A search space and the function to optimise over it, the heart of a problem file.

    space: a :class:`Space`, a list of parameters, or a ``ConfigurationSpace`` of ConfigSpace.
    run: ``run(config, ctx)`` or ``run(config)``; returns the objective, or a dict that holds it.
    objective: its name, the key in the returned dict.
    direction: "minimize" or "maximize".
    fidelity: the steps that ``run`` reports against, as ``Fidelity("epoch", 50)``.
    start: configurations to evaluate first; what they leave out is at its default.  If every
        parameter has a default, the default configuration comes before them.
    optimum: the best possible objective, where it is known.
    trial_timeout: seconds after which a trial is ended and has failed.
    trial_memory: bytes of memory, its whole process tree counted, above which it is ended and has failed.
    resumable: ``run`` goes on from its checkpoint in ``ctx.directory`` when ``ctx.attempt`` is above 0, so a
        trial may be started although it will not be done before the search must end.
    ranks: how many workers train a trial together, data-parallel: a number, or ``ranks(config)``.
    duration: ``duration(config)``, the seconds that a training takes, for ``deephpo simulate``.
    name: what the run is called; the file's name if it is left out.

    Raises ProblemError or SpaceError with what is wrong and the cure.
    """

    def __init__(
        self,
        space: Any,
        run: Run,
        objective: str = "objective",
        direction: Direction = "minimize",
        *,
        fidelity: Fidelity | None = None,
        start: Sequence[Config] = (),
        optimum: float | None = None,
        trial_timeout: float | None = None,
        trial_memory: int | None = None,
        resumable: bool = False,
        ranks: int | Callable[[Config], int] = 1,
        duration: Callable[[Config], float] | None = None,
        name: str = "",
    ) -> None:
        self.run = run
        self.takes_context = _takes_context(run)
        if duration is not None and not callable(duration):
            raise ProblemError(
                f"Problem: duration must be a function of the configuration, not {duration!r}."
            )
        self.duration = duration
        self.ranks = ranks if callable(ranks) else None
        name, objective, direction = plain(name), plain(objective), plain(direction)
        _check(name, objective, direction, fidelity, optimum)
        space = as_space(space, "Problem")
        best = None if optimum is None else float(optimum)
        self.declaration = Declaration(
            name,
            space,
            objective,
            direction,
            fidelity,
            _starting_points(space, start),
            best,
            _positive("trial_timeout", trial_timeout),
            _positive("trial_memory", trial_memory),
            resumable,
            None if callable(ranks) else _ranks(ranks),
        )

    def named(self, name: str) -> Declaration:
        """Return the declaration, called ``name`` unless the user called it something else."""
        return replace(self.declaration, name=self.declaration.name or name)


def _takes_context(run: Run) -> bool:
    if not callable(run):
        raise ProblemError(f"Problem: run must be a function run(config, ctx), not {run!r}.")
    try:
        signature = inspect.signature(run)
    except ValueError:  # some builtins have none
        raise ProblemError(f"Problem: run must be a function run(config, ctx), not {run!r}.") from None
    for arguments, takes_context in ((({}, None), True), (({},), False)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return takes_context
    name = getattr(run, "__name__", "run")
    raise ProblemError(f"Problem: run must take (config, ctx) or (config), but it is {name}{signature}.")


def _positive(name: str, value: Any) -> Any:
    if value is not None and not (is_number(value) and value > 0):
        raise ProblemError(f"Problem: {name} must be a number above 0, not {value!r}.")
    return plain(value)


def _ranks(ranks: Any) -> int:
    number = plain(ranks)
    if not is_whole(number, 1):
        raise ProblemError(
            "Problem: ranks must be a whole number from 1 on, or a function of the configuration, "
            f"not {ranks!r}."
        )
    return number


def _check(
    name: str, objective: str, direction: str, fidelity: Fidelity | None, optimum: float | None
) -> None:
    if not isinstance(name, str):
        raise ProblemError(f"Problem: name is what the run is called, a text, not {name!r}.")
    if not isinstance(objective, str) or not objective:
        raise ProblemError(f"Problem: objective is the name of what run() returns, not {objective!r}.")
    if direction not in DIRECTIONS:
        raise ProblemError(f"Problem: direction must be 'minimize' or 'maximize', not {direction!r}.")
    if fidelity is not None and not isinstance(fidelity, Fidelity):
        raise ProblemError(f"Problem: fidelity must be Fidelity('epoch', 50) or the like, not {fidelity!r}.")
    if optimum is not None and not is_number(optimum):
        raise ProblemError(f"Problem: optimum must be a finite number, not {optimum!r}.")


def _starting_points(space: Space, start: Sequence[Config]) -> tuple[Config, ...]:
    """Return the default configuration, if there is one, and the user's, complete and without repeats."""
    try:
        default = space.default_config()
    except SpaceError as error:
        raise ProblemError(f"Problem: the defaults do not fit together: {error}") from None
    points = [] if default is None else [default]
    for place, config in enumerate(start):
        try:
            complete = space.complete(config)
        except SpaceError as error:
            raise ProblemError(f"Problem: start[{place}]: {error}") from None
        if not any(_are_the_same(complete, point) for point in points):
            points.append(complete)
    return tuple(points)


def _are_the_same(a: Config, b: Config) -> bool:
    return a.keys() == b.keys() and all(same_value(a[name], b[name]) for name in a)
