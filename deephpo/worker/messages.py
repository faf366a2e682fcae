"""What passes between a search process and the child that evaluates its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deephpo.trial import Config, Outcome, Report


@dataclass(frozen=True, slots=True)
class Assignment:
    """To the child: evaluate this trial."""

    trial_id: int
    config: Config
    seed: int
    directory: str
    """Where the trial may keep files; it is made when the trial asks for it."""
    wants_duration: bool = False
    """Whether to say, by the problem's own account, how long the training takes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """From the child: the problem is loaded; here is its declaration, as plain values."""

    declaration: Mapping[str, Any]


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
