import math
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deephpo import Categorical, Float, Space
from deephpo.problem import Declaration
from deephpo.storage.records import (
    Begun,
    Ended,
    Finished,
    Reported,
    Started,
    Suggested,
    WorkerJoined,
)
from deephpo.trial import Outcome, Report, Trial, TrialState
from tests.open_mpi import AS_ROOT

_FIGURES: list[str] = []


@pytest.fixture
def figure():
    """A function that takes a line for the table at the end."""
    return _FIGURES.append


def pytest_terminal_summary(terminalreporter):
    """Print what the tests measured."""
    if _FIGURES:
        terminalreporter.section("figures")
        for line in _FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture
def problem_file(tmp_path):
    """Return a function that writes a problem file from its source text, and returns its path as a target."""

    def write(source, name="task.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return str(path)

    return write


@pytest.fixture
def declaration():
    """Return a declaration with a conditional parameter."""
    space = Space(
        [
            Float("lr", 1e-4, 1e-1, log=True),
            Categorical("optimizer", ["adam", "sgd"]),
            Float("momentum", 0.0, 0.99, when={"optimizer": "sgd"}),
        ]
    )
    return Declaration("demo", space, "loss")


@pytest.fixture
def run_records(declaration):
    """Return a function that makes the records of a run: each end is a value, a reason of failure, or None.

    Trial k runs on worker 1 + k % workers, for one second, and reports once; None stands for one that still
    runs.  Trials with odd numbers have momentum.
    """

    def records(*ends, workers=2, direction="minimize", finished=True):
        about = {**declaration.to_dict(), "direction": direction}
        trials = tuple(Trial(k, _config(k), seed=k) for k in range(len(ends)))
        lines = [Begun(0.0, "0.1.0", "head", "demo.py", about, {"seed": {"value": 1, "origin": "default"}})]
        lines += [WorkerJoined(0.0, worker, f"node{worker}") for worker in range(1, workers + 1)]
        lines.append(Suggested(0.0, trials, False))
        for k, end in enumerate(ends):
            start_s, worker = float(k // workers), 1 + k % workers
            lines.append(Started(start_s, k, worker))
            if end is not None:
                lines.append(Reported(start_s + 0.5, Report(k, 1, {"loss": 9.0, "acc": k / 8})))
                lines.append(Ended(start_s + 1.0, worker, _outcome(k, end)))
        if finished:
            lines.append(Finished(math.ceil(len(ends) / workers), "all trials are done", 0))
        return sorted(lines, key=lambda record: record.time_s)

    return records


def _config(k):
    rate = {"lr": 1e-4 * (k + 1)}
    return {**rate, "optimizer": "sgd", "momentum": k / 128} if k % 2 else {**rate, "optimizer": "adam"}


def _outcome(k, end):
    if isinstance(end, str):
        return Outcome(k, TrialState.FAILED, reason=end, detail="Traceback ...")
    return Outcome(k, TrialState.COMPLETED, end, {"loss": end})


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command to its end; if it lasts too long, all of it is killed."""

    def run(*words: object, timeout: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
        given = [str(word) for word in words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(given, start_new_session=True, **pipes, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                kill_tree(process.pid)
                out, err = process.communicate()
                pytest.fail(f"{' '.join(given)} took more than {timeout} s.\nstdout:\n{out}\nstderr:\n{err}")
        return subprocess.CompletedProcess(given, process.returncode, out, err)

    return run


@pytest.fixture
def deephpo(command) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the ``deephpo`` of this interpreter, outside of any MPI job."""
    program = Path(sys.executable).with_name("deephpo")
    return lambda *words, **options: command(program, *words, **options)


@pytest.fixture
def mpi_environment() -> Iterator[dict[str, str]]:
    """The environment that ``mpirun`` needs here.

    Open MPI 5 refuses root and more ranks than cores unless it is told that both are meant.  And without a
    directory of its own it ends with 213 where a killed one of the same process number has left its files.
    """
    with tempfile.TemporaryDirectory(prefix="ompi-", ignore_cleanup_errors=True) as directory:
        yield {
            **os.environ,
            **AS_ROOT,
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
            "PRTE_MCA_prte_tmpdir_base": directory,
        }


def kill_tree(pid: int) -> None:
    """Kill a process and everything below it, process groups and sessions notwithstanding."""
    for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
