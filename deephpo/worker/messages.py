"""What passes between a search process and the child that evaluates its trials."""

from __future__ import annotations

from dataclasses import dataclass

from deephpo.trial import Config, Outcome, Report


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


FromChild = Loaded | NotLoaded | Report | Lasted | Outcome


@dataclass(frozen=True, slots=True)
class Gone:
    """From the keeper of the child: no child can be had here any more."""

    reason: str


FromProcess = Loaded | Report | Lasted | Outcome | Gone
"""What the keeper of a child hands on."""
