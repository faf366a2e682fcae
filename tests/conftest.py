"""What tests of several rooms share: problem files, and the command run as a user runs it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

HEADER = "from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space\n"
PROBLEM = 'problem = Problem([Float("x", 0.0, 1.0)], run)\n'


@pytest.fixture
def problem_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a problem file: imports before the source, a problem behind it if it
    defines none."""

    def write(source: str, name: str = "problem.py") -> Path:
        text = HEADER + dedent(source) + "\n"
        path = tmp_path / name
        path.write_text(text if "problem = " in text else text + PROBLEM)
        return path

    return write


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


def kill_tree(pid: int) -> None:
    """Kill a process and everything below it, process groups and sessions notwithstanding."""
    for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
