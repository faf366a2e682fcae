"""What passes between a search process and the child that evaluates its trials."""

from __future__ import annotations

from dataclasses import dataclass

from deephpo.trial import Config, Outcome, Report
from deephpo.worker.place import ALONE, Place


@dataclass(frozen=True, slots=True)
class Assignment:
    """To the child: evaluate this trial."""

    trial_id: int
    config: Config
    seed: int
    directory: str
    """Where the trial may keep files; it is made when the trial asks for it."""
    attempt: int = 0
    """How often this trial was started before."""
    left_s: float | None = None
    """For how long the search goes on at most, counted from now; None if there is no end of its time."""
    notice_s: float = 0.0
    """How long before that end the trial is to stop by itself."""
    wants_duration: bool = False
    """Whether to say, by the problem's own account, how long the training takes."""
    wants_ranks: bool = False
    """Whether not to evaluate the trial at all, but to say how many workers its problem wants for it."""
    place: Place = ALONE
    """The child's place among those that train the trial together."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """From the child of a gang's leader to the others': where they meet, in the words of what they use."""

    trial_id: int
    attempt: int
    where: str


@dataclass(frozen=True, slots=True)
class Halt:
    """To the child: a stopping rule wants the running trial to end."""

    trial_id: int


ToChild = Assignment | Meeting | Halt


@dataclass(frozen=True, slots=True)
class Loaded:
    """From the child: the problem is loaded; here is its declaration, as a text of JSON."""

    declaration: str


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """From the child: the problem cannot be loaded; ``reason`` is a sentence for the user."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lasted:
    """From the child: by the problem's own account, the training took so long."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class PartEnded:
    """From a child that is not its gang's leader: its part of the trial is done."""

    trial_id: int


FromChild = Loaded | NotLoaded | Report | Lasted | Meeting | PartEnded | Outcome


@dataclass(frozen=True, slots=True)
class Gone:
    """From the keeper of the child: no child can be had here any more."""

    reason: str


FromProcess = Loaded | Report | Lasted | Meeting | PartEnded | Outcome | Gone
"""What the keeper of a child hands on."""
