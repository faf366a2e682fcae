"""A search over real MPI ranks, from its start to its files."""

import csv
from collections import Counter
from pathlib import Path

import h5py
import pytest
import yaml

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started, Suggested, WorkerJoined
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

pytestmark = pytest.mark.mpi

PROBLEMS = Path(__file__).parents[2] / "problems"

QUICK = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    for step in (1, 2):
        time.sleep(0.05)
        ctx.report(step, loss=config["x"] / step)
    launched = [name for name in os.environ if name.startswith(("OMPI_", "PMIX_", "PMI_"))]
    return {"loss": config["x"], "launched": len(launched)}

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""

UNTIL_SEEN = """
import os, time
from deephpo import Float, Problem

def run(config, ctx):
    for step in range(600):
        ctx.report(step, loss=1.0 / (1 + step))
        if os.path.exists({signal!r}):
            return step
        time.sleep(0.1)

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


def test_every_worker_works_and_every_trial_is_accounted_for(mpirun, problem_file, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    problem = problem_file(QUICK)
    ended = mpirun(4, "search", problem, "--trials", 24, "--seed", 1, "--run-dir", directory.path)
    assert (ended.returncode, ended.stderr) == (0, "")
    records = list(read_journal(directory.journal))
    check_order(records)
    state = RunState(records)
    assert [trial.id for trial in state.ended] == list(range(24))
    assert state.counts == {TrialState.COMPLETED: 24}
    assert {trial.worker for trial in state.ended} == {1, 2, 3}
    assert {len(trial.curve) for trial in state.ended} == {2}
    check_files(directory, state)
    assert "3 MPI workers" in ended.stdout
    assert f"Best: loss = {state.best.value!r}" in ended.stdout
    assert {trial.metrics["launched"] for trial in state.ended} == {0}, "the child is no part of the MPI job"


def check_order(records):
    """Check that each trial was suggested, started, reported and ended once each, in this order."""
    stage, workers = {}, set()
    for record in records:
        match record:
            case WorkerJoined(worker=worker):
                assert worker not in workers
                workers.add(worker)
            case Suggested(trials=trials):
                assert stage.keys().isdisjoint(trial.id for trial in trials)
                stage |= {trial.id: "suggested" for trial in trials}
            case Started(trial_id=trial_id, worker=worker):
                assert worker in workers
                assert stage[trial_id] == "suggested"
                stage[trial_id] = f"started on {worker}"
            case Reported(report=report):
                assert stage[report.trial_id].startswith("started")
            case Ended(worker=worker, outcome=outcome):
                assert stage[outcome.trial_id] == f"started on {worker}"
                stage[outcome.trial_id] = "ended"
    assert Counter(stage.values()) == {"ended": len(stage)}


def check_files(directory, state):
    """Check that table, archive, configuration and log tell what the journal tells."""
    with open(directory.table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["id"]), float(row["value"])) for row in rows] == [(t.id, t.value) for t in state.ended]
    assert [(float(row["p:x"]), int(row["worker"])) for row in rows] == [
        (t.config["x"], t.worker) for t in state.ended
    ]
    with h5py.File(directory.archive) as archive:
        assert archive["trials/value"][:].tolist() == [t.value for t in state.ended]
        assert archive["parameters/x"][:].tolist() == [t.config["x"] for t in state.ended]
        assert len(archive["curves/step"]) == sum(len(t.curve) for t in state.ended)
    config = yaml.safe_load(directory.config.read_text())
    assert (config["driver"], config["options"]) == ("3 MPI workers", dict(state.options))
    assert directory.log.read_text().count("trial ") == len(state.ended)


def test_reports_are_in_the_journal_while_the_trial_runs(mpi_job, records_once, problem_file, tmp_path):
    directory, signal = RunDirectory(tmp_path / "run"), tmp_path / "seen"
    problem = problem_file(UNTIL_SEEN.format(signal=str(signal)))
    with mpi_job(2, "search", problem, "--trials", 1, "--run-dir", directory.path) as job:
        seen = records_once(directory.journal, lambda records: count(records, Reported) >= 3)
        assert count(seen, Ended) == 0
        signal.touch()
        assert job.wait(60) == 0
    assert RunState(read_journal(directory.journal)).best.value >= 2


def count(records, kind):
    return sum(isinstance(record, kind) for record in records)


def test_one_worker_over_mpi_searches_like_one_worker_without(mpirun, deephpo, problem_file, tmp_path):
    words = ("search", problem_file(QUICK), "--trials", 14, "--initial", 6, "--seed", 3, "--run-dir")
    assert mpirun(2, *words, tmp_path / "mpi").returncode == 0
    assert deephpo(*words, tmp_path / "local", "--driver", "local", "--workers", 1).returncode == 0
    over_mpi, alone = (
        [(trial.id, trial.config, trial.value) for trial in RunState(read_journal(run.journal)).ended]
        for run in (RunDirectory(tmp_path / "mpi"), RunDirectory(tmp_path / "local"))
    )
    assert over_mpi == alone


def test_a_search_that_is_done_says_so_and_sends_its_workers_home(mpirun, problem_file, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    mpirun(3, "search", problem_file(QUICK), "--trials", 4, "--search", "random", "--run-dir", directory.path)
    before = directory.journal.read_bytes()
    again = mpirun(3, "resume", directory.path)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"The search in {directory.path} has nothing left to do: all 4 trials are")
    assert directory.journal.read_bytes() == before


def test_a_time_limit_before_the_last_trial_can_be_resumed(mpirun, problem_file, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    words = ("--time-limit", "2s", "--trials", 9999, "--search", "random", "--run-dir", directory.path)
    assert mpirun(3, "search", problem_file(QUICK), *words).returncode == 75
    state = RunState(read_journal(directory.journal))
    assert state.running == set()
    assert state.finished.time_s == pytest.approx(2.0, abs=1.0)


def test_mpirun_into_a_pipe_gets_plain_lines(mpirun, problem_file, tmp_path):
    words = ("--trials", 8, "--search", "random", "--run-dir", tmp_path / "run")
    shown = mpirun(2, "search", problem_file(QUICK.replace("0.05", "0.2")), *words).stdout
    assert "\x1b" not in shown
    assert "8 trials in" in shown


@pytest.mark.tensorflow
def test_a_real_keras_network_is_tuned(mpirun, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    words = ("--trials", 2, "--seed", 1, "--run-dir", directory.path)
    ended = mpirun(2, "search", PROBLEMS / "digits_cnn.py", *words, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    state = RunState(read_journal(directory.journal))
    assert state.counts == {TrialState.COMPLETED: 2}
    assert {len(trial.curve) for trial in state.ended} == {10}
    assert all(0 <= trial.value < 0.95 for trial in state.ended)
    assert ended.stderr == ""
