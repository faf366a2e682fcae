"""The values that flow: a trial, what it reports while it runs, and how it ended.

They are small, frozen and checked at birth, and need the standard library only, so every rank can
afford them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | float | bool | None
"""A hyperparameter's value: a scalar that JSON, YAML, CSV and HDF5 can all hold."""

Config = Mapping[str, Value]
"""A configuration: the active parameters by name; inactive ones are absent."""


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    """It returned its objective."""
    STOPPED = "stopped"
    """A stopping rule ended it."""
    FAILED = "failed"
    """Its own fault: an exception, a bad return value, a crash."""
    PREEMPTED = "preempted"
    """The job's fault: a lost worker, the end of the time."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that is to be evaluated, is being evaluated, or was."""

    id: int
    config: Config
    seed: int = 0
    """For the training's own random numbers; it depends on the search's seed and the id alone."""
    value: float | None = None
    """The objective in the user's own direction; None until told."""
    ranks: int = 1
    """How many workers train it together."""

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ValueError(f"A trial's id counts from 0, but it is {self.id}.")
        if self.ranks < 1:
            raise ValueError(f"A trial needs a worker at least, but has {self.ranks}.")


@dataclass(frozen=True, slots=True)
class Report:
    """What a running trial said: its metrics at one step (an epoch, as a rule)."""

    trial_id: int
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one trial ended on its worker."""

    trial_id: int
    state: TrialState
    value: float | None = None
    """The objective in the user's own direction: that of a trial that completed, or what a stopped one had
    reached; None if there is none."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Everything that ``run`` returned, the objective included."""
    reason: str = ""
    """One line that says why a trial was stopped, failed or was preempted."""
    detail: str = ""
    """The traceback, or the last lines of the trial's output when it crashed."""
    foreseen: float | None = None
    """What a stopped trial would have come to, if that is what the search is to learn of it."""

    @property
    def lesson(self) -> float | None:
        """What the search learns of the trial: its value, or what was foreseen; None if it failed."""
        return self.value if self.foreseen is None else self.foreseen

    def __post_init__(self) -> None:
        if self.state is TrialState.COMPLETED and self.value is None:
            raise ValueError("A trial that completed has a value.")
        if self.state in (TrialState.FAILED, TrialState.PREEMPTED) and self.value is not None:
            raise ValueError(f"A trial that {self.state} has no value, but here it is {self.value}.")


def printable(text: str) -> str:
    """Return a text that UTF-8 and HDF5 can hold: the name of a file in an error message need not be one.

    >>> printable("a\\0b\\udcffc")
    'a\\\\x00b\\\\udcffc'
    """
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
