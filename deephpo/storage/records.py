"""The journal's vocabulary: one frozen value for each thing that can happen in a run.

``time_s`` counts seconds since the search began.  A record and its line of JSON are the same information;
NaN and infinity, which JSON lacks, stand there as the texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from sys import intern
from typing import Any, get_args

from deephpo.trial import Config, Outcome, Report, Trial, TrialState


@dataclass(frozen=True, slots=True)
class Begun:
    """The search began; what decided it stands here in full, so that the journal alone can be resumed."""

    time_s: float
    version: str
    host: str
    target: str
    """The problem, as for ``deephpo search``; a file by its whole path."""
    declaration: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Learned:
    """The search was told observations of an earlier run before its first trial."""

    time_s: float
    source: str
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is ready for its first trial."""

    time_s: float
    worker: int
    host: str


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker will take no more trials."""

    time_s: float
    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The search was asked for q trials; asks and ends in their order replay it exactly."""

    time_s: float
    q: int


@dataclass(frozen=True, slots=True)
class Suggested:
    """The search answered; fewer trials than asked, if nothing untried is left."""

    time_s: float
    trials: tuple[Trial, ...]
    exhausted: bool


@dataclass(frozen=True, slots=True)
class Started:
    """A trial was sent to a worker, or to several that train it together."""

    time_s: float
    trial_id: int
    worker: int
    """The one that speaks for it."""
    others: tuple[int, ...] = ()

    @property
    def workers(self) -> tuple[int, ...]:
        """All of them, the one that speaks for the trial first."""
        return (self.worker, *self.others)


@dataclass(frozen=True, slots=True)
class Reported:
    """A running trial reported its metrics."""

    time_s: float
    report: Report


@dataclass(frozen=True, slots=True)
class Judged:
    """A stopping rule said that a running trial is to end."""

    time_s: float
    trial_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Promoted:
    """A trial that had been stopped is to go on after all, from its own checkpoint."""

    time_s: float
    trial_id: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial ended."""

    time_s: float
    worker: int
    """The one on which; of several the first that failed, or was lost."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ignored:
    """A result came that nobody waited for any more."""

    time_s: float
    worker: int
    trial_id: int
    reason: str


ENDED_AS_ASKED = 0
NOTHING_SUCCEEDED = 3
CAN_BE_RESUMED = 75
"""The exit codes of a search that ended by itself."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The search ended."""

    time_s: float
    reason: str
    exit_code: int
    """One of the three above."""


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
    | Judged
    | Promoted
    | Ended
    | Ignored
    | Finished
)

_KINDS: dict[str, type[Record]] = {kind.__name__: kind for kind in get_args(Record)}
_STATES = {state.value: state for state in TrialState}


def to_dict(record: Record) -> dict[str, Any]:
    """Return the record as plain values for one line of JSON."""
    return {"kind": type(record).__name__, **_plain_fields(record)}


def from_dict(line: Mapping[str, Any]) -> Record:
    """Return the record of one line; raises KeyError, TypeError or ValueError if it is none."""
    values = dict(line)
    kind = _KINDS[values.pop("kind")]
    for name, read in _READERS[kind]:
        if name in values:
            values[name] = read(values[name])
    return kind(**values)


def _plain_fields(value: Any) -> dict[str, Any]:
    names, values_of, writers, usual = _LAYOUTS[type(value)]
    plain = dict(zip(names, values_of(value), strict=True))
    for name, write in writers:
        plain[name] = write(plain[name])
    for name, default in usual:
        if plain[name] == default:
            del plain[name]
    return plain


def _plain_items(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [_plain_fields(value) for value in values]


def _microseconds(time_s: float) -> float:
    return round(time_s, 6)


def _strict(metrics: Mapping[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else str(value) for name, value in metrics.items()}


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {intern(name): float(value) for name, value in metrics.items()}


def _config(values: Mapping[str, Any]) -> Config:
    """Return the configuration; names and choices, which all trials share, are kept once in memory."""
    return {intern(name): intern(v) if type(v) is str else v for name, v in values.items()}


def _report(values: Mapping[str, Any]) -> Report:
    return Report(**{**values, "metrics": _numbers(values["metrics"])})


def _outcome(values: Mapping[str, Any]) -> Outcome:
    state, metrics = _STATES[values["state"]], _numbers(values["metrics"])
    return Outcome(**{**values, "state": state, "metrics": metrics})


def _trials(items: Sequence[Mapping[str, Any]]) -> tuple[Trial, ...]:
    return tuple([Trial(**{**values, "config": _config(values["config"])}) for values in items])


def _observations(items: Sequence[Mapping[str, Any]]) -> tuple[Observation, ...]:
    return tuple([Observation(**{**values, "config": _config(values["config"])}) for values in items])


_WRITE: dict[str, Callable[[Any], Any]] = {
    "time_s": _microseconds,
    "metrics": _strict,
    "report": _plain_fields,
    "outcome": _plain_fields,
    "trials": _plain_items,
    "observations": _plain_items,
    "others": list,
}
"""The fields that stand in a line of JSON in another form than in memory."""
_USUAL: dict[str, Any] = {"ranks": 1, "others": [], "foreseen": None}
"""The fields that are left out of a line where they are as for a trial that one worker trains to its end:
such lines are what they were before there were others."""
_READ: dict[str, Callable[[Any], Any]] = {
    "report": _report,
    "outcome": _outcome,
    "trials": _trials,
    "observations": _observations,
    "others": tuple,
}
"""And the way back."""


def _among(table: dict[str, Any], kind: type) -> list[tuple[str, Any]]:
    return [(field.name, table[field.name]) for field in fields(kind) if field.name in table]


# What fields a kind has, and which of them change their form, is found out once, not for each record.
_LAYOUTS = {
    kind: (
        names := [field.name for field in fields(kind)],
        attrgetter(*names),
        _among(_WRITE, kind),
        _among(_USUAL, kind),
    )
    for kind in (*_KINDS.values(), Trial, Report, Outcome, Observation)
}
_READERS = {kind: _among(_READ, kind) for kind in _KINDS.values()}
