"""What a batch system is to deephpo: a table of names, and four methods."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deephpo.schedulers.request import Request


@dataclass(frozen=True)
class Names:
    """What a batch system calls things; commands are completed with a job's id."""

    title: str
    job_id: str
    """The variable by which a job knows its id."""
    submit_dir: str
    """The variable by which a job knows where it was submitted."""
    submit: str
    """The command that submits a script."""
    show: str
    cancel: str
    nodes: str
    """The shell command that prints a job's nodes, one a line, the one first on which its script runs."""
    restarts: str
    """The variable by which a job knows how many jobs of the search there were before it."""


class Scheduler(Hashable, Protocol):
    """A batch system."""

    @property
    def names(self) -> Names:
        """What it calls things."""

    def script(self, request: Request) -> str:
        """Return the text of the job script."""

    def submit(self, script: Path) -> str:
        """Submit a script, and return the job's id; raises LaunchError if that is refused."""

    def state(self, job: str) -> str:
        """Return the state of a job that waits or runs, as it calls it; empty if there is none."""

    def end_time_s(self, environment: Mapping[str, str]) -> float | None:
        """Return when the job of this environment ends, in seconds since the epoch; None if nobody tells."""
