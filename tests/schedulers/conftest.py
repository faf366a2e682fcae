"""A request for a job, of which each test changes what it is about; and a real cluster."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deephpo.schedulers.launchers import launcher_of
from deephpo.schedulers.machines import machine_of
from deephpo.schedulers.request import Request
from deephpo.storage.journal import read_journal
from deephpo.storage.run_directory import RunDirectory
from tests.open_mpi import AS_ROOT


@pytest.fixture
def request_for() -> Callable[..., Request]:
    """Return a function that makes a request: two nodes with four GPUs each, for two hours."""
    plain = Request(
        problem="hartmann6",
        run_dir="/scratch/runs/h6",
        start_dir="/home/me",
        program=("/venv/bin/deephpo",),
        arguments=("problems/hartmann6.py", "--trials", "50"),
        nodes=2,
        gpus_per_node=4,
        workers_per_node=4,
        walltime_s=7200,
        machine=machine_of("generic"),
        launcher=launcher_of("mpirun"),
    )
    return lambda **changes: replace(plain, **changes)


SCRIPT = Path(__file__).with_name("cluster.sh")
BIN = Path(sys.executable).parent
NAMES_ITSELF = ("unshare", "--uts", "--mount", "--propagation", "slave", "sh", "-c", "hostname node1")
"""As `cluster.sh` tries it; without that it would start nodes that all have this machine's name."""


class Cluster:
    """The running cluster, as a user on its login node sees it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def run(self, *words: object) -> str:
        """Run a command, and return what it prints."""
        given = [str(word) for word in words]
        ended = subprocess.run(given, capture_output=True, text=True, env=self.environment, timeout=180)
        assert ended.returncode == 0, f"{given}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def bring_back(self, node: str) -> None:
        """Let a node serve again; Slurm refuses that if it does already, as when its daemon has come back."""
        words = ["scontrol", "update", f"nodename={node}", "state=resume"]
        subprocess.run(words, check=False, capture_output=True, env=self.environment, timeout=60)

    def submit(self, problem: Path | str, *words: object, nodes: int, workers: int = 4) -> str:
        """Submit a search of so many nodes, and return the job's id."""
        asked = ("--nodes", nodes, "--gpus-per-node", workers)
        out = self.run(BIN / "deephpo", "submit", problem, *asked, *words)
        return next(line.split()[1] for line in out.splitlines() if line.startswith("job "))

    def job(self, job: str) -> dict[str, str]:
        """Return what Slurm says of a job."""
        words = self.run("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.partition("=")[::2] for word in words)

    def wait(self, job: str, patience_s: float = 120) -> dict[str, str]:
        """Return what Slurm says of a job when it has ended for good."""
        return self.until(job, lambda said: said["JobState"] in ENDS, patience_s)

    def until(
        self, job: str, done: Callable[[dict[str, str]], bool], patience_s: float = 120
    ) -> dict[str, str]:
        """Return what Slurm says of a job once that fulfils a condition."""
        until = time.monotonic() + patience_s
        while not done(said := self.job(job)):
            assert time.monotonic() < until, f"{said}\n{self.output(said)}"
            time.sleep(0.2)
        return said

    @staticmethod
    def output(said: Mapping[str, str]) -> str:
        """Return what a job printed."""
        path = Path(said["StdOut"])
        return path.read_text() if path.exists() else ""


ENDS = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start the cluster, and stop it at the end; where it cannot be, tests are skipped with the reason."""
    if subprocess.run(NAMES_ITSELF, capture_output=True).returncode:
        pytest.skip(
            "only root, and not in every container, can give the cluster's nodes host names of their own"
        )
    own = Path(f"/tmp/deephpo-slurm-{os.getpid()}")
    environment = {
        **os.environ,
        "DEEPHPO_CLUSTER": str(own),
        **AS_ROOT,
        # In /tmp a killed mpirun of the same process number may have left what keeps this one from starting.
        "PRTE_MCA_prte_tmpdir_base": str(own),
    }
    try:
        started = subprocess.run(
            [SCRIPT, "start"], capture_output=True, text=True, env=environment, timeout=60
        )
        if started.returncode:  # not everywhere may even root do what it takes
            pytest.skip(started.stderr.strip())
        name, _, path = started.stdout.strip().removeprefix("export ").partition("=")
        yield Cluster({**environment, name: path})
    finally:
        subprocess.run([SCRIPT, "stop"], env=environment, timeout=60)


@pytest.fixture
def records_of() -> Callable[..., list]:
    """Return a function: the records of a run, of some kinds if any are named."""

    def read(run: Path, *kinds: type) -> list:
        records = list(read_journal(RunDirectory(run).journal))
        return [record for record in records if not kinds or isinstance(record, kinds)]

    return read
