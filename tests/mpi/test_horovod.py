"""Real data-parallel trainings: Keras over Horovod's Gloo, between the children of real MPI ranks."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import psutil
import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Reported, Started, WorkerLost
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import TrialState

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("horovod") is None, reason="Horovod is not installed: make horovod builds it"
    ),
]

PROBLEMS = Path(__file__).parents[2] / "problems"

DIGITS = """
import json, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {problems!r})
import digits_cnn
import keras
import numpy as np
from contextlib import nullcontext
from deephpo import Categorical, Float, Problem
from deephpo.keras import Report, Shard, Together, distribute

NETWORK = {{"blocks": 1, "filters": 4, "kernel": 3, "pooling": "max", "dropout": 0.0, "units": 16}}

class Fate(keras.callbacks.Callback):
    def __init__(self, ctx):
        super().__init__()
        self.ctx = ctx
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2 and self.ctx.rank == 1:
            if self.ctx.trial_id in {killed}:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.ctx.trial_id in {hanging}:
                time.sleep(60)

def run(config, ctx):
    ctx.seed = 5  # the same order of rows in all trials
    keras.utils.set_random_seed(1 + ctx.rank)  # others begin with other weights, but for Together
    x, y, x_valid, y_valid = digits_cnn.data()
    with ctx.horovod() if ctx.size > 1 else nullcontext() as hvd:
        assert ctx.size == 1 or (hvd.rank(), hvd.size()) == (ctx.rank, ctx.size)
        model = digits_cnn.network(NETWORK)
        optimizer = keras.optimizers.SGD(config["rate"], momentum=0.9)
        loss = "sparse_categorical_crossentropy"
        metrics = [digits_cnn.error]
        model.compile(distribute(optimizer, hvd), loss, metrics=metrics, jit_compile=False)
        history = model.fit(
            Shard(x[:960], y[:960], 32 // ctx.size, ctx),
            validation_data=(x_valid[ctx.rank :: ctx.size], y_valid[ctx.rank :: ctx.size]),
            epochs={epochs},
            shuffle=False,
            callbacks=[Together(ctx, hvd), Report(ctx), Fate(ctx)],
            verbose=0,
        ).history
    weights = np.concatenate([keras.ops.convert_to_numpy(w).ravel() for w in model.weights])
    told = {{"history": history, "weights": weights.tolist(), "pid": os.getpid()}}
    name = f"{{ctx.trial_id}}-{{ctx.size}}-{{ctx.rank}}.json"
    (Path({kept!r}) / name).write_text(json.dumps(told))
    return history["loss"][-1]

problem = Problem(
    [Float("rate", 0.01, 0.05), Categorical("ranks", [1, 2])],
    run, "loss", ranks=lambda config: config["ranks"], trial_timeout=25.0, start={start},
)
"""


@pytest.fixture
def digits(problem_file, tmp_path):
    """Return a function that writes the problem file, and where each process says how it ended."""
    kept = tmp_path / "kept"
    kept.mkdir()

    def write(epochs, killed=(), hanging=(), start=()):
        about = {"epochs": epochs, "killed": killed, "hanging": hanging, "start": start}
        return problem_file(DIGITS.format(problems=str(PROBLEMS), kept=str(kept), **about))

    return write, kept


def told(kept, trial_id, size):
    """Return what the processes of a trial said, by their ranks."""
    return [json.loads((kept / f"{trial_id}-{size}-{rank}.json").read_text()) for rank in range(size)]


def test_two_ranks_do_what_one_does_with_batches_twice_as_large(digits, mpirun, tmp_path):
    write, kept = digits
    directory = RunDirectory(tmp_path / "run")
    target = write(3, start=[{"rate": 0.02, "ranks": 1}, {"rate": 0.02, "ranks": 2}])
    done = mpirun(3, "search", target, "--trials", 2, "--run-dir", directory.path, timeout=120)
    assert done.returncode == 0, done.stdout
    (alone,), pair = told(kept, 0, 1), told(kept, 1, 2)
    np.testing.assert_array_equal(pair[0]["weights"], pair[1]["weights"])
    np.testing.assert_allclose(pair[0]["weights"], alone["weights"], atol=1e-4)
    np.testing.assert_allclose(pair[0]["history"]["loss"], alone["history"]["loss"], atol=1e-5)
    np.testing.assert_allclose(pair[0]["history"]["error"], alone["history"]["error"], atol=1e-5)
    # The halves of the validation images are not alike; what is reported is their average.
    assert pair[0]["history"] == pair[1]["history"]
    reports = [r.report for r in read_journal(directory.journal) if isinstance(r, Reported)]
    steps = [report.step for report in reports if report.trial_id == 1]
    assert steps == [1, 2, 3]


def test_twenty_trials_in_pairs_two_killed_in_a_member_and_one_hanging(digits, mpirun, tmp_path, figure):
    write, kept = digits
    directory = RunDirectory(tmp_path / "run")
    target = write(1, killed=(4, 9), hanging=(6,))
    words = ("search", target, "--search", "random", "--trials", 20, "--ranks-per-trial", 2)
    before = {process.pid for process in psutil.process_iter()}
    done = mpirun(5, *words, "--run-dir", directory.path, timeout=300)
    assert done.returncode == 0, done.stdout
    records = list(read_journal(directory.journal))
    ends = {record.outcome.trial_id: record.outcome for record in records if isinstance(record, Ended)}
    failed = {trial_id: end.reason for trial_id, end in ends.items() if end.state is TrialState.FAILED}
    assert set(ends) == set(range(20))
    assert set(failed) == {4, 6, 9}, failed
    assert "killed by signal 9" in failed[4]
    assert "killed by signal 9" in failed[9]
    assert "the trial timeout of 25 s" in failed[6]
    for trial_id in set(ends) - set(failed):
        first, second = told(kept, trial_id, 2)
        assert first["weights"] == second["weights"]
        assert first["history"] == second["history"]
    assert not any(isinstance(record, WorkerLost) for record in records)
    started = [record for record in records if isinstance(record, Started)]
    assert set().union(*[record.workers for record in started]) == {1, 2, 3, 4}
    assert len(started) == 20
    # A trial's death costs its ranks their children, and nothing else ever does: the others stay warm.
    pids = {entry["pid"] for k in set(ends) - set(failed) for entry in told(kept, k, 2)}
    assert len(pids) <= 4 + 2 * len(failed)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    left = {p.pid for p in psutil.process_iter() if "deephpo.worker.child" in " ".join(_words(p))} - before
    assert not left
    figure(f"20 trials of two ranks each over Horovod, 3 of them broken: {records[-1].time_s:.0f} s")


def _words(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_the_problem_that_comes_with_it_goes_on_from_its_checkpoint(mpirun, mpi_job, records_once, tmp_path):
    """Two ranks, killed with the whole job in mid-training: no epoch is trained twice."""
    directory = RunDirectory(tmp_path / "run")
    words = ("search", PROBLEMS / "digits_cnn.py", "--search", "random", "--seed", 1, "--trials", 1)
    options = ("--ranks-per-trial", 2, "--run-dir", directory.path)
    with mpi_job(3, *words, *options) as job:
        records_once(directory.journal, lambda found: sum(isinstance(r, Reported) for r in found) >= 3, 120)
        job.kill()
    done = mpirun(3, "resume", directory.path, timeout=180)
    assert done.returncode == 0, done.stdout
    records = list(read_journal(directory.journal))
    steps = [record.report.step for record in records if isinstance(record, Reported)]
    assert steps == sorted(set(steps))
    assert len(steps) >= 9  # one may have been saved, and killed before it was reported
    assert steps[-1] == 10
    assert [len(record.workers) for record in records if isinstance(record, Started)] == [2, 2]
