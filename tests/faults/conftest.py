"""The fault suite: real processes, killed for real; ``make test-faults`` prints its figures.

FAULTS=long repeats everything as often as docs/reliability.md says; the short form is part of CI.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

LONG = os.environ.get("FAULTS") == "long"
BIN = Path(sys.executable).parent

SLEEPER = """
import time
from deephpo import Float, Problem, Space

def run(config, ctx):
    (ctx.directory / "attempts").open("a").write(f"{ctx.attempt}\\\\n")
    for step in range(1, 4):
        time.sleep(config["pause"] / 3)
        ctx.report(step, error=config["x"])
    return config["x"] ** 2

problem = Problem(
    Space([Float("x", -1.0, 1.0), Float("pause", 0.02, 0.2)]), run, objective="error"
)
"""


@pytest.fixture
def sleeper(tmp_path):
    """A problem whose trials take a fifth of a second at most."""
    path = tmp_path / "sleeper.py"
    path.write_text(SLEEPER)
    return path


class Jobs:
    """Starts commands, kills them, and looks for what they leave behind."""

    long = LONG
    deephpo = BIN / "deephpo"
    ulfm = (BIN / "mpirun", "--with-ft", "ulfm", "-n")

    def __init__(self, environment):
        self.environment = environment

    def start(self, *command):
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            [str(part) for part in command],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def finish(self, process, timeout_s):
        """Return the exit code; a command that hangs is killed with all it started, and fails the test."""
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_all(process)
            pytest.fail(f"it hangs: {process.args}")

    def kill_all(self, process):
        """Kill a command and all its descendants, in any session, at once."""
        for member in [*self.descendants(process), process]:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                member.send_signal(signal.SIGKILL)
        process.wait(20)

    def descendants(self, process):
        """Return all processes below a command."""
        try:
            return psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def ranks_of(self, process, directory):
        """Return the search processes of an MPI job, rank 0 first: the launcher starts them in order."""
        found = []
        for member in self.descendants(process):
            with contextlib.suppress(psutil.Error):
                words = member.cmdline()
                if str(directory) in words and "run" not in Path(words[0]).name:
                    found.append(member)
        return sorted(found, key=lambda member: member.pid)

    def gone(self, family, timeout_s=10.0):
        """Return whether all these processes are gone within the time."""
        return self.wait_until(lambda: not any(_lives(member) for member in family), timeout_s)

    def wait_until(self, condition, timeout_s=60.0):
        """Wait for a condition; returns whether it came true."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def _lives(member):
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def jobs(mpi_environment):
    """Real processes, and ways to hurt them."""
    return Jobs(mpi_environment)


@pytest.fixture
def dice(request):
    """Random numbers that differ from test to test, and not from run to run."""
    return random.Random(request.node.name)
