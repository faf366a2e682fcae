"""What a trial's start and end cost beside its training, in a warm child, alone and with Horovod.

    python benchmarks/trial_start.py [--trials 40] [--ranks-per-trial 2]

Searches over real MPI, 1 + 2 ranks: each trial takes one step with a Keras network and says how long that
took inside ``run``.  What the master saw beyond that is the cost: the message to the worker, the child's
answer, and with several ranks the forming and leaving of the gang too.  TensorFlow is imported, and the first
trial of each child left out, which compiles.  Medians, and the 90th percentile.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from deephpo.storage.journal import read_journal
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState, TrialEntry

PROBLEM = """
import os, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import keras
import numpy as np
from contextlib import nullcontext
from deephpo import Float, Problem

x, y = np.ones((32, 8), "float32"), np.ones((32, 1), "float32")
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")

def run(config, ctx):
    called_s = time.monotonic()
    with ctx.horovod() if ctx.size > 1 else nullcontext():
        met_s = time.monotonic()
        loss = model.train_on_batch(x, y)
        trained_s = time.monotonic()
    left_s = time.monotonic()
    gang_s = met_s - called_s + left_s - trained_s
    return {"objective": float(loss), "training_s": trained_s - met_s, "gang_s": gang_s}

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


def search(trials: int, ranks: int) -> list[TrialEntry]:
    """Return the trials of one search over MPI, without the first of each child."""
    with tempfile.TemporaryDirectory() as scratch:
        problem, directory = Path(scratch) / "one_step.py", RunDirectory(Path(scratch) / "run")
        problem.write_text(PROBLEM)
        beside = Path(sys.executable).parent
        command = [beside / "mpirun", "--with-ft", "ulfm", "-n", "3", beside / "deephpo", "search", problem]
        command += ["--search", "random", "--trials", str(trials), "--ranks-per-trial", str(ranks)]
        words = [str(word) for word in (*command, "--run-dir", directory.path)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        state = RunState(read_journal(directory.journal))
    seen: set[int | None] = set()
    warm = []
    for trial in state.ended:
        if trial.worker in seen and trial.value is not None:
            warm.append(trial)
        seen.add(trial.worker)
    return warm


def milliseconds(seconds: list[float]) -> str:
    """Return the median and the 90th percentile."""
    return f"{1000 * statistics.median(seconds):6.1f} ({1000 * statistics.quantiles(seconds, n=10)[-1]:.1f})"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--ranks-per-trial", type=int, default=2, help="of the second search; 1 for none")
    given = parser.parse_args()
    print("milliseconds a trial: median (90th percentile)")
    print(f"{'ranks':>5}  {'all beside the training':>24}  {'of it the gang':>16}")
    for ranks in sorted({1, given.ranks_per_trial}):
        trials = search(given.trials, ranks)
        beside = [(t.ended_s or 0.0) - (t.started_s or 0.0) - t.metrics["training_s"] for t in trials]
        gang = [t.metrics["gang_s"] for t in trials]
        print(f"{ranks:>5}  {milliseconds(beside):>24}  {milliseconds(gang):>16}")


if __name__ == "__main__":
    main()
