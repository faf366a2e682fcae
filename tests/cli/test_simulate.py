"""``deephpo simulate``: the same search in virtual time."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deephpo.cli.main import main
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Asked, Ended, Started
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState

COST = {"master_cpu_s", "cpu_ms_per_trial", "utilisation", "startup_s"}
"""What depends on the machine."""

OWN_DURATION = """
from deephpo import Float, Problem

problem = Problem([Float("x", 0.0, 1.0)], lambda config: config["x"], duration=lambda config: 30.0)
"""


@pytest.fixture
def simulated(said):
    """Return a function that simulates, and returns the object that it printed."""
    return lambda *words: json.loads(said("simulate", *words, "--json"))


def test_json_gives_the_figures_of_the_search(simulated, problem):
    figures = simulated(problem, "--workers", 8, "--trials", 40, "--seed", 1)
    assert figures.keys() >= {"best", "virtual_s", *COST}
    assert (figures["trials"], figures["distinct"], figures["workers"]) == (40, 40, 8)
    assert 0.9 < figures["utilisation"] <= 1
    assert 0 < figures["startup_s"] < figures["master_cpu_s"]
    assert 0 <= figures["best"] < 0.2
    assert figures["cpu_ms_per_trial"] == pytest.approx(1000 * figures["master_cpu_s"] / 40, abs=0.1)


def test_a_seed_makes_the_same_simulation_again(simulated, problem):
    def figures(seed):
        shown = simulated(problem, "--workers", 8, "--trials", 40, "--seed", seed)
        return {name: value for name, value in shown.items() if name not in COST}

    assert figures(3) == figures(3)
    assert figures(3)["virtual_s"] != figures(4)["virtual_s"]


@pytest.mark.parametrize(
    ("workers", "trials", "virtual_s"), [(1, 6, 60.0), (6, 6, 10.0), (4, 6, 20.0), (900, 6, 10.0)]
)
def test_the_virtual_time_is_what_so_many_workers_take(workers, trials, virtual_s, simulated, problem):
    words = ("--workers", workers, "--trials", trials, "--duration", "constant:10")
    assert simulated(problem, *words)["virtual_s"] == pytest.approx(virtual_s)


def test_the_problem_says_how_long_a_trial_takes_unless_the_user_does(simulated, problem_file):
    words = (problem_file(OWN_DURATION), "--workers", 1, "--trials", 2)
    assert simulated(*words)["virtual_s"] == pytest.approx(60.0)
    assert simulated(*words, "--duration", "constant:1")["virtual_s"] == pytest.approx(2.0)


def test_a_synchronous_search_goes_by_batches_and_waits_for_the_slowest(simulated, problem, tmp_path):
    words = (problem, "--workers", 8, "--trials", 30, "--seed", 1, "--search", "random")
    directory = tmp_path / "run"
    batches = simulated(*words, "--synchronous", "--run-dir", directory)
    alone = simulated(*words)
    assert (batches["trials"], batches["distinct"]) == (30, 30)
    assert batches["virtual_s"] > alone["virtual_s"]
    records = list(read_journal(directory / "journal.jsonl"))
    assert [record.q for record in records if isinstance(record, Asked)] == [8, 8, 8, 6]
    out = 0
    for record in records:
        assert out == 0 or not isinstance(record, Asked)
        out += isinstance(record, Started) - isinstance(record, Ended)
    assert records[0].options["synchronous"] == {"value": True, "origin": "command line"}


def test_a_single_wave_says_nothing_of_the_utilisation(simulated, said, problem):
    words = (problem, "--workers", 6, "--trials", 6, "--search", "random")
    assert simulated(*words)["utilisation"] is None
    rows = dict(line.split(maxsplit=1) for line in said("simulate", *words).splitlines()[:5])
    assert rows["workers"] == "6"
    assert rows["start-up"].endswith(" s until the last worker had its first trial")


NEIGHBOURS = """
from deephpo import Integer, Problem

problem = Problem([Integer("n", -2, 2)], lambda config: config["n"])
"""


def test_configurations_that_python_hashes_alike_are_distinct(simulated, problem_file):
    assert hash(-1) == hash(-2)
    figures = simulated(problem_file(NEIGHBOURS), "--search", "grid", "--trials", 5, "--workers", 2)
    assert (figures["trials"], figures["distinct"]) == (5, 5)


def test_virtual_time_ends_at_the_time_limit_or_when_no_trial_would_be_done_before(simulated, problem):
    words = ("--workers", 4, "--time-limit", "1h", "--duration", "constant:700", "--search", "random")
    figures = simulated(problem, *words)
    assert figures["trials"] == 4 * 5
    assert 3500.0 <= figures["virtual_s"] <= 3600.0


FAILING = """
from deephpo import Float, Problem

problem = Problem([Float("x", 0.0, 1.0)], lambda config: 1 / 0)
"""


@pytest.mark.parametrize(
    ("source", "kept", "exit_code"), [(OWN_DURATION, False, 0), (OWN_DURATION, True, 75), (FAILING, False, 3)]
)
def test_only_what_is_kept_can_be_resumed_when_the_time_is_up(
    source, kept, exit_code, problem_file, tmp_path, capsys
):
    words = ["simulate", problem_file(source), "--workers", "2", "--search", "random"]
    words += ["--trials", "15", "--time-limit", "170s", "--duration", "constant:30"]
    words += ["--run-dir", str(tmp_path / "run")] if kept else []
    assert main(words) == exit_code
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[:3])
    assert rows["ended"] in ("the time is up", "no trial would be done before the time is up")
    assert rows["trials"] == "10, 10 distinct"


SLOW = """
import time
from deephpo import Float, Problem

def run(config):
    time.sleep(0.1)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


def test_one_that_is_stopped_says_so_and_counts_what_ended(problem_file, tmp_path):
    program = Path(sys.executable).with_name("deephpo")
    journal = tmp_path / "run" / "journal.jsonl"
    words = ("--trials", "500", "--workers", "4", "--search", "random", "--run-dir", str(journal.parent))
    line = [program, "simulate", problem_file(SLOW), *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not journal.exists() or b'"Ended"' not in journal.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    rows = dict(line.split(maxsplit=1) for line in shown.splitlines()[:3])
    assert rows["ended"] == "stopped by SIGINT"
    trials, distinct = rows["trials"].split(", ")
    assert distinct == f"{trials} distinct"
    assert 0 < int(trials) < 500
    assert errors == ""  # no progress: this is no terminal


def test_one_that_is_stopped_and_kept_nowhere_was_interrupted(problem_file, tmp_path):
    program = Path(sys.executable).with_name("deephpo")
    begun = tmp_path / "begun"
    source = SLOW.replace("time.sleep", f"open({str(begun)!r}, 'w').close(); time.sleep")
    line = [program, "simulate", problem_file(source), "--trials", "500", "--search", "random"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped by SIGINT" in shown


def test_on_a_terminal_it_shows_how_far_it_is_and_keeps_stdout_for_the_figures(problem_file):
    ours, theirs = pty.openpty()
    program = Path(sys.executable).with_name("deephpo")
    line = [program, "simulate", problem_file(SLOW), "--trials", "10", "--search", "random", "--json"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        shown, _ = process.communicate(timeout=60)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)
    assert json.loads(shown)["trials"] == 10
    assert "\x1b[Kvirtual 0:" in written.decode()
    assert "/10 done" in written.decode()


def test_without_a_success_there_is_no_table_of_the_best(problem_file, command):
    source = "from deephpo import Float, Problem\nproblem = Problem([Float('x', 0, 1)], lambda c: 1 / 0)\n"
    program = Path(sys.executable).with_name("deephpo")
    ended = command(program, "simulate", problem_file(source), "--trials", 3)
    assert ended.returncode == 3
    assert ended.stdout.endswith("\nbest          no trial has succeeded\n")


def test_nothing_is_written_unless_a_run_directory_is_named(problem, tmp_path, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--workers", 2, "--trials", 4, "--seed", 1)
    shown = said("simulate", problem, *words)
    assert "trials        4, 4 distinct" in shown
    assert {path.name for path in tmp_path.iterdir()} <= {"quick.py", "__pycache__"}
    said("simulate", problem, *words, "--run-dir", "run")
    directory = RunDirectory(tmp_path / "run")
    assert RunState(read_journal(directory.journal)).done == 4
    assert directory.table.read_text().count("\n") == 5
    assert directory.archive.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--duration", "gamma:1"], "Known: constant, uniform, exponential, lognormal"),
        (["--duration", "lognormal:60"], "lognormal:median,sigma"),
        (["--duration", "constant:-1"], "'constant:-1'"),
        (["--duration", "uniform:9,2"], "'uniform:9,2'"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--search", "ambz"], "did you mean 'ambs'?"),
    ],
)
def test_a_wrong_option_is_refused(words, told, problem, refusal):
    assert told in refusal("simulate", problem, *words)
