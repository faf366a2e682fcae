"""Real MPI ranks: the ``deephpo`` and the ``mpirun`` that stand beside this interpreter."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Record

BIN = Path(sys.executable).parent
FAULT_TOLERANT = ("--with-ft", "ulfm")


def line(ranks: int, *words: object, launcher: Sequence[str] = ()) -> list[str]:
    return [str(word) for word in (BIN / "mpirun", *launcher, "-n", ranks, BIN / "deephpo", *words)]


@pytest.fixture
def mpirun(command, mpi_environment) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs ``deephpo`` on so many ranks, to the end."""

    def run(
        ranks: int,
        *words: object,
        timeout: float = 60,
        launcher: Sequence[str] = (),
        **environment: str,
    ):
        words = line(ranks, *words, launcher=launcher)
        return command(*words, timeout=timeout, env={**mpi_environment, **environment})

    return run


@pytest.fixture
def mpirun_python(command, mpi_environment) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a Python program on so many ranks, to the end."""

    def run(ranks: int, program: str, timeout: float = 60):
        words = (BIN / "mpirun", *FAULT_TOLERANT, "-n", ranks, sys.executable, program)
        return command(*words, timeout=timeout, env=mpi_environment)

    return run


@pytest.fixture
def mpi_job(mpi_environment) -> Callable[..., Iterator[subprocess.Popen[str]]]:
    """Return a context manager that starts ``deephpo`` on so many ranks; nothing of it outlives the block."""

    @contextmanager
    def start(ranks: int, *words: object, launcher: Sequence[str] = ()):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        words = line(ranks, *words, launcher=launcher)
        with subprocess.Popen(words, env=mpi_environment, start_new_session=True, **pipes) as job:
            try:
                yield job
            finally:
                below = psutil.Process(job.pid).children(recursive=True) if job.poll() is None else []
                for process in [*below, job]:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()

    return start


@pytest.fixture
def ranks_of() -> Callable[[subprocess.Popen[str]], dict[int, psutil.Process]]:
    """Return a function that returns a job's ranks, each with its process."""

    def ranks(job: subprocess.Popen[str]) -> dict[int, psutil.Process]:
        processes = psutil.Process(job.pid).children()
        return {int(process.environ()["OMPI_COMM_WORLD_RANK"]): process for process in processes}

    return ranks


@pytest.fixture
def records_once() -> Callable[..., list[Record]]:
    """Return a function that waits until the records of a journal fulfil a condition, and returns them."""

    def wait(journal: Path, condition: Callable[[list[Record]], bool], within_s: float = 60):
        deadline = time.monotonic() + within_s
        records: list[Record] = []
        while time.monotonic() < deadline:
            records = list(read_journal(journal)) if journal.exists() else []
            if condition(records):
                return records
            time.sleep(0.05)
        return pytest.fail(f"It did not happen within {within_s} s; the journal ends with {records[-3:]}")

    return wait
