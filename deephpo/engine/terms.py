"""On which terms a search runs: when it ends, and what becomes of its trials."""

from __future__ import annotations

from dataclasses import dataclass

from deephpo.engine.deadline import Deadline
from deephpo.problem import Direction

RETRIES = 2


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a search runs."""

    trials: int | None = None
    """It ends when so many are settled."""
    deadline: Deadline | None = None
    """It ends at this time, whatever is running."""
    direction: Direction = "minimize"
    goal: float | None = None
    """It ends when the best is as good as this, in the user's own direction."""
    plateau: int | None = None
    """It ends when so many trials in a row brought no new best."""
    node_hours: float | None = None
    """It ends when the hosts of its workers were there for so long, all together."""
    retries: int = RETRIES
    """A trial that loses its worker goes out again, at most so often."""
    lease_s: float | None = None
    """A worker that is silent for longer is taken for lost; None: the driver always knows who is there."""
    resumable: bool = False
    """Whether a trial goes on from its own checkpoint when it is started again."""
    promote: bool = False
    """Whether stopped trials may go on from their checkpoints."""
    workers: int | None = None
    """How many workers there can be; when so many are lost the search ends.  None: more may come."""
    interim: str | None = None
    """The metric by which the search is told what running trials are worth so far; None: it is not told."""
    synchronous: bool = False
    """The next batch of trials is asked for only when every trial of the last one has ended, or is aside."""
    ranks_per_trial: float = 1.0
    """How many workers train a trial, on the average."""
