"""What is asked of a batch system for one search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deephpo.errors import OptionError
from deephpo.schedulers.launchers import Launcher, Placement
from deephpo.schedulers.machines import Machine
from deephpo.storage.run_directory import RunDirectory

_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
UNFIT = re.compile(r"[^\w./+,:=@~-]")
"""What batch systems take in no path."""


@dataclass(frozen=True)
class Request:
    """One job; raises OptionError for what cannot be asked for."""

    problem: str
    """The problem's name."""
    run_dir: str
    """An absolute path, or one from there."""
    start_dir: str | None
    """The absolute path in which the search is started; None: where the job is submitted."""
    program: tuple[str, ...]
    """What runs ``deephpo``."""
    arguments: tuple[str, ...]
    """Those of ``deephpo search``, with the problem, without --run-dir; none if there is a run to resume."""
    nodes: int
    gpus_per_node: int
    workers_per_node: int
    walltime_s: int
    machine: Machine
    launcher: Launcher
    launcher_path: str = ""
    """The directory of the launcher's program; empty if it is found on the PATH."""
    changes: tuple[str, ...] = ()
    """What ``deephpo resume`` is told beside the run directory."""
    cpus_per_worker: int | None = None
    """None: as many as the site gives."""
    share_gpus: bool = False
    account: str | None = None
    queue: str | None = None
    constraint: str | None = None
    email: str | None = None
    modules: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    chain: int = 0
    """How many more jobs may follow this one until the search is done."""
    script_path: str | None = None
    """Where the job script is; None: in the run directory."""

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_gpus()
        if self.walltime_s < 60:
            raise OptionError(f"--walltime must be at least a minute, not {self.walltime_s} s.")
        if self.machine.needs_account and self.account is None:
            raise OptionError(
                f"This machine ({self.machine.summary}) wants to know who pays: --account NAME."
            )
        if self.email is not None and not _EMAIL.fullmatch(self.email):
            raise OptionError(f"--email must be an address such as you@site.org, not {self.email!r}.")
        for name, _ in self.environment:
            if not _VARIABLE.fullmatch(name):
                raise OptionError(
                    f"--env must be NAME=VALUE with a name of letters and digits, not {name!r}."
                )
        for option in ("account", "queue", "constraint"):
            if re.search(r"\s", getattr(self, option) or ""):
                raise OptionError(f"--{option} must be one word, not {getattr(self, option)!r}.")
        cures = {self.start_dir or "": "submit from another directory", self.run_dir: "say another --run-dir"}
        for path, cure in cures.items():
            if found := UNFIT.search(path):
                raise OptionError(
                    f"Batch systems do not take a path with {found[0]!r} in it: {path!r}; {cure}."
                )

    def _check_counts(self) -> None:
        for option in ("nodes", "workers_per_node"):
            if getattr(self, option) < 1:
                raise OptionError(f"--{option.replace('_', '-')} must be at least 1.")
        if self.cpus_per_worker is not None and self.machine.whole_nodes:
            raise OptionError(
                f"A job on this machine ({self.machine.summary}) gets all cores of its nodes, and deephpo "
                "shares them out among the workers: leave --cpus-per-worker out."
            )

    def _check_gpus(self) -> None:
        has = self.machine.gpus_per_node
        if has is not None and self.gpus_per_node > has:
            raise OptionError(
                f"--gpus-per-node must be at most {has} on this machine ({self.machine.summary}), "
                f"not {self.gpus_per_node}."
            )
        if 0 < self.gpus_per_node < self.workers_per_node and not self.share_gpus:
            raise OptionError(
                f"--workers-per-node must be at most {self.gpus_per_node}, the GPUs of a node, "
                f"not {self.workers_per_node}; say --share-gpus if several are to train on one."
            )

    @property
    def placement(self) -> Placement:
        """How many ranks, and where."""
        return Placement(self.nodes, self.workers_per_node)

    @property
    def cores_per_node(self) -> int:
        """How many there must be: the workers', and one for the master, though but one node has it."""
        return self.workers_per_node * (self.cpus_per_worker or 1) + 1

    @property
    def nodes_in_words(self) -> str:
        """Such as "2 nodes with 4 GPUs each"."""
        each = " each" if self.nodes > 1 else ""
        gpus = f" with {many(self.gpus_per_node, 'GPU')}{each}" if self.gpus_per_node else ""
        return f"{many(self.nodes, 'node')}{gpus}"

    @property
    def job_name(self) -> str:
        """The problem's name, as batch systems take it: PBS at most 15 characters."""
        return _NAME.sub("-", self.problem)[:15].strip("-.") or "deephpo"

    @property
    def node_hours(self) -> float:
        """What one job costs at most."""
        return self.nodes * self.walltime_s / 3600

    @property
    def script(self) -> str:
        """Where the job script is."""
        return self.script_path or str(RunDirectory(Path(self.run_dir)).script)

    @property
    def output(self) -> str:
        """Where the job writes what it prints."""
        return str(RunDirectory(Path(self.run_dir)).job_output)

    @property
    def walltime(self) -> str:
        """As batch systems write it: 02:00:00."""
        minutes, seconds = divmod(self.walltime_s, 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def many(number: int, thing: str) -> str:
    """Return how many of a thing: "1 node", "2 nodes"."""
    return f"{number} {thing}{'s' if number > 1 else ''}"
