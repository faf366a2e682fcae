"""The file names of a run directory, all in one place."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.errors import RunDirectoryError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class RunDirectory:
    """Where a run keeps its files; nothing exists until :meth:`create`."""

    path: Path

    @property
    def journal(self) -> Path:
        """The truth: every event, one a line."""
        return self.path / "journal.jsonl"

    @property
    def table(self) -> Path:
        """One row for each trial that ended."""
        return self.path / "results.csv"

    @property
    def archive(self) -> Path:
        """Trials, configurations and learning curves for any HDF5 tool."""
        return self.path / "results.h5"

    @property
    def config(self) -> Path:
        """Everything that decided this search."""
        return self.path / "config.yaml"

    @property
    def log(self) -> Path:
        """What happened, for people."""
        return self.path / "log.txt"

    @property
    def picture(self) -> Path:
        """The best value over time above the workers' timeline."""
        return self.path / "search.png"

    @property
    def script(self) -> Path:
        """The job script, where the search was submitted."""
        return self.path / "job.sh"

    @property
    def job(self) -> Path:
        """The id of the batch job that was submitted last."""
        return self.path / "job"

    @property
    def job_output(self) -> Path:
        """What the jobs printed, one after the other."""
        return self.path / "job.out"

    @property
    def trials(self) -> Path:
        """Below it each trial that asks for it has a directory of its own."""
        return self.path / "trials"

    @property
    def outputs(self) -> Path:
        """Below it is what the trials of each worker printed."""
        return self.path / "output"

    def holds_run(self) -> bool:
        """Return whether a search began here: one that was killed before its first record left none."""
        # os.path, not the path's own methods: they raise where a directory may not be looked into.
        return os.path.exists(self.journal) and os.path.getsize(self.journal) > 0

    def create(self) -> None:
        """Make the directory; raises RunDirectoryError if it holds a run or cannot be written."""
        if self.holds_run():
            raise RunDirectoryError(f"{self.path} already holds a run; choose another --run-dir.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise RunDirectoryError(
                f"The run directory {self.path} cannot be written ({error.strerror}); "
                "choose another with --run-dir."
            ) from None

    def require(self) -> None:
        """Raise RunDirectoryError unless there is a run here."""
        if not os.path.isdir(self.path):
            raise RunDirectoryError(f"There is no directory {self.path}.")
        if not os.path.isfile(self.journal):
            if os.path.isfile(self.script):
                raise RunDirectoryError(
                    f"{self.path} holds a job script, whose search has not begun: the job waits for nodes, "
                    f"or it failed to start: see {self.job_output}."
                )
            raise RunDirectoryError(
                f"{self.path} holds no run: there is no {self.journal.name} in it. "
                "Name the directory that `deephpo search` printed."
            )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``, and rename it at the end: readers see whole files only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
