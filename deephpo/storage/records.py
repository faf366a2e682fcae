"""The journal's vocabulary: one frozen value for each thing that can happen in a run.

``time_s`` counts seconds since the search began.  A record and its line of JSON are the same information;
NaN and infinity, which JSON lacks, stand there as the texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from deephpo.trial import Config, Outcome, Report, Trial, TrialState


@dataclass(frozen=True)
class Begun:
    """The search began; what decided it stands here in full, so that the journal alone can be resumed."""

    time_s: float
    version: str
    host: str
    target: str
    """The problem, as for ``deephpo search``; a file by its whole path."""
    declaration: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Resumed:
    """Another process took the search over; all workers are new, and what was running is given up."""

    time_s: float
    version: str
    host: str
    declaration: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """A configuration that was evaluated elsewhere."""

    config: Config
    value: float | None
    """Its objective in the user's own direction; None if it failed."""


@dataclass(frozen=True)
class Learned:
    """The search was told observations of an earlier run before its first trial."""

    time_s: float
    source: str
    observations: tuple[Observation, ...]


@dataclass(frozen=True)
class WorkerJoined:
    """A worker is ready for its first trial."""

    time_s: float
    worker: int
    host: str


@dataclass(frozen=True)
class WorkerLost:
    """A worker will take no more trials."""

    time_s: float
    worker: int
    reason: str


@dataclass(frozen=True)
class Asked:
    """The search was asked for q trials; asks and ends in their order replay it exactly."""

    time_s: float
    q: int


@dataclass(frozen=True)
class Suggested:
    """The search answered; fewer trials than asked, if nothing untried is left."""

    time_s: float
    trials: tuple[Trial, ...]
    exhausted: bool


@dataclass(frozen=True)
class Started:
    """A trial was sent to a worker."""

    time_s: float
    trial_id: int
    worker: int


@dataclass(frozen=True)
class Reported:
    """A running trial reported its metrics."""

    time_s: float
    report: Report


@dataclass(frozen=True)
class Ended:
    """A trial ended on its worker."""

    time_s: float
    worker: int
    outcome: Outcome


@dataclass(frozen=True)
class Ignored:
    """A result came that nobody waited for any more."""

    time_s: float
    worker: int
    trial_id: int
    reason: str


@dataclass(frozen=True)
class Finished:
    """The search ended."""

    time_s: float
    reason: str
    exit_code: int


Record = (
    Begun
    | Resumed
    | Learned
    | WorkerJoined
    | WorkerLost
    | Asked
    | Suggested
    | Started
    | Reported
    | Ended
    | Ignored
    | Finished
)

_KINDS: dict[str, type[Record]] = {kind.__name__: kind for kind in get_args(Record)}
_NAMES = {
    kind: [f.name for f in fields(kind)] for kind in (*_KINDS.values(), Trial, Report, Outcome, Observation)
}


def to_dict(record: Record) -> dict[str, Any]:
    """Return the record as plain values for one line of JSON."""
    return {"kind": type(record).__name__, **_plain_fields(record)}


def from_dict(line: Mapping[str, Any]) -> Record:
    """Return the record of one line; raises KeyError, TypeError or ValueError if it is none."""
    values = dict(line)
    kind = _KINDS[values.pop("kind")]
    if kind is Suggested:
        values["trials"] = tuple(Trial(**trial) for trial in values["trials"])
    elif kind is Learned:
        values["observations"] = tuple(Observation(**entry) for entry in values["observations"])
    elif kind is Reported:
        report = values["report"]
        values["report"] = Report(**{**report, "metrics": _numbers(report["metrics"])})
    elif kind is Ended:
        outcome = values["outcome"]
        state, metrics = TrialState(outcome["state"]), _numbers(outcome["metrics"])
        values["outcome"] = Outcome(**{**outcome, "state": state, "metrics": metrics})
    return kind(**values)


def _plain_fields(value: Any) -> dict[str, Any]:
    return {name: _plain(name, getattr(value, name)) for name in _NAMES[type(value)]}


def _plain(name: str, value: Any) -> Any:
    if name == "time_s":
        return round(value, 6)
    if name == "metrics":
        return {key: v if math.isfinite(v) else str(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return [_plain_fields(item) for item in value]
    return _plain_fields(value) if type(value) in _NAMES else value


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}
