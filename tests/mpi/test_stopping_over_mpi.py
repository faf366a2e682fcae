"""Trials that are stopped early on real ranks, those that do not listen, and ranks that die meanwhile."""

import statistics

import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Judged, Reported, Started, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

pytestmark = pytest.mark.mpi

FAULT_TOLERANT = ("--with-ft", "ulfm")

CURVES = """
import math, os, signal, time
from deephpo import Fidelity, Float, Problem, TrialStopped

def run(config, ctx):
    for epoch in range(1, ctx.budget + 1):
        time.sleep({epoch_s})
        loss = config["x"] + math.exp(-epoch / (2 + 6 * config["y"]))
        try:
            ctx.report(epoch, loss=loss)
        except TrialStopped:
            if is_the_deaf_one(ctx):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(1000)
            raise
    return loss

def is_the_deaf_one(ctx):
    '''Return whether this is the first trial of all that is told to stop, at its first attempt.'''
    try:
        with open({witness!r}, "x") as file:
            file.write(f"{{ctx.trial_id}}\\n")
    except FileExistsError:
        return False
    return True

problem = Problem(
    [Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)], run, "loss", fidelity=Fidelity("epoch", 16)
)
"""

IMPATIENT = """
import sys
from deephpo.cli.main import main
from deephpo.engine import gangs
from deephpo.worker import process

gangs.STOP_GRACE_S = process.GRACE_S = 0.5
sys.exit(main({words!r}))
"""
RULE = "asha:eta=2,first=2 + diverged"


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def curves(problem_file, tmp_path):
    """Return a function that writes a problem whose first trial that is told to stop does not listen."""
    return lambda epoch_s: problem_file(CURVES.format(epoch_s=epoch_s, witness=str(tmp_path / "deaf")))


def of(records, kind):
    return [record for record in records if isinstance(record, kind)]


def check_settled(records, trials):
    """Assert that each trial was settled once, and those that were stopped after their verdict."""
    settled = {}
    said = {}
    for record in records:
        if isinstance(record, Judged):
            said[record.trial_id] = record.reason
        elif isinstance(record, Ended) and record.outcome.state is not TrialState.PREEMPTED:
            assert record.outcome.trial_id not in settled
            settled[record.outcome.trial_id] = record.outcome
            if record.outcome.state is TrialState.STOPPED:
                assert record.outcome.reason.startswith(said[record.outcome.trial_id])
                assert record.outcome.value is not None
    assert sorted(settled) == list(range(trials))
    assert {outcome.state for outcome in settled.values()} == {TrialState.COMPLETED, TrialState.STOPPED}
    return settled


def test_stopped_trials_free_their_ranks_at_once_and_one_that_does_not_listen_is_ended(
    mpirun_python, curves, directory, tmp_path, figure
):
    trials = 60
    words = ["search", curves(0.02), "--trials", f"{trials}", "--search", "random", "--seed", "1"]
    words += ["--stop", RULE, "--run-dir", str(directory.path)]
    program = tmp_path / "impatient.py"
    program.write_text(IMPATIENT.format(words=words))
    ended = mpirun_python(4, str(program))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    records = list(read_journal(directory.journal))
    settled = check_settled(records, trials)
    judged = {record.trial_id: record.time_s for record in of(records, Judged)}
    ends = {record.outcome.trial_id: record for record in of(records, Ended)}

    (deaf,) = [k for k, outcome in settled.items() if "it did not stop by itself" in outcome.reason]
    assert settled[deaf].state is TrialState.STOPPED
    # Its grace, which is half a second and three reports, and another half after it was asked to leave.
    assert 1.0 <= ends[deaf].time_s - judged[deaf] < 4.0
    assert any(s.worker == ends[deaf].worker for s in of(records, Started) if s.time_s >= ends[deaf].time_s)

    stopped = [k for k, o in settled.items() if o.state is TrialState.STOPPED and k != deaf]
    assert len(stopped) > trials / 4
    waits_s = statistics.median(ends[k].time_s - judged[k] for k in stopped)
    more = statistics.median(
        sum(r.report.trial_id == k and r.time_s > judged[k] for r in of(records, Reported)) for k in stopped
    )
    figure(
        f"{len(stopped)} of {trials} trials stopped, {1000 * waits_s:.0f} ms and {more:.0f} reports after "
        "their verdicts; an epoch takes 20 ms"
    )
    assert waits_s < 0.5
    # A worker that is free gets its next trial in the same turn.
    starts = {(record.worker, record.time_s) for record in of(records, Started)}
    assert sum((ends[k].worker, ends[k].time_s) in starts for k in stopped) > len(stopped) / 2
    state = RunState(records)
    assert state.counts[TrialState.STOPPED] == len(stopped) + 1
    best = min(state.ended, key=lambda entry: entry.value)
    assert best.state is TrialState.COMPLETED


def test_a_rank_that_dies_while_its_trial_is_to_stop_costs_nothing_but_the_attempt(
    mpi_job, ranks_of, records_once, curves, directory, tmp_path
):
    trials = 24
    search = ["search", curves(0.02), "--trials", trials, "--search", "random", "--seed", 1, "--stop", RULE]
    with mpi_job(4, *search, "--run-dir", directory.path, launcher=FAULT_TOLERANT) as job:
        witness = tmp_path / "deaf"
        records = records_once(
            directory.journal, lambda _: witness.exists() and witness.read_text().endswith("\n")
        )
        first = int(witness.read_text())
        worker = next(record.worker for record in of(records, Started) if record.trial_id == first)
        ranks_of(job)[worker].kill()
        assert job.wait(60) == 0, job.stdout.read()
    records = list(read_journal(directory.journal))
    settled = check_settled(records, trials)
    assert [record.worker for record in of(records, WorkerLost)] == [worker]
    starts = [record.worker for record in of(records, Started) if record.trial_id == first]
    assert len(starts) == 2
    assert starts[1] != worker
    # It is told the same once more, and listens this time.
    reasons = [record.reason for record in of(records, Judged) if record.trial_id == first]
    assert len(reasons) == 2
    assert settled[first].reason == reasons[0] == reasons[1]
    assert sum(record.trial_id != first for record in of(records, Judged)) == sum(
        outcome.state is TrialState.STOPPED for k, outcome in settled.items() if k != first
    )
