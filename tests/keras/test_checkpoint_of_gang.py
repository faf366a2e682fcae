"""A real gang of two that was cut off, and of which the first process alone can see the checkpoint."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("keras")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        find_spec("horovod") is None, reason="Horovod is not installed: make horovod builds it"
    ),
]

PROGRAM = Path(sys.executable).with_name("deephpo")
GANG = """
import json
from types import SimpleNamespace
import keras
import numpy as np
from deephpo import Float, Problem
from deephpo.keras import Checkpoint, Shard, Together, distribute

x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
y = x[:, :1] ** 2

class CutOff(keras.callbacks.Callback):
    # Ends the training of both in the middle of an epoch.
    def __init__(self, last):
        super().__init__()
        self.last, self.begun = last, []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if (self.begun[-1], batch) == (self.last, 1):
            raise KeyboardInterrupt

def train(ctx, hvd, directory, last=None):
    keras.utils.set_random_seed(7 + ctx.rank)
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((6,)), *layers])
    model.compile(distribute("adam", hvd), "mse", jit_compile=False)
    seen = SimpleNamespace(directory=directory, rank=ctx.rank, size=ctx.size)
    shard = Shard(x, y, 8, ctx)
    checkpoint, cut_off = Checkpoint(seen, hvd, shard), CutOff(last)
    together = Together(ctx, hvd)
    model.fit(shard, epochs=5, shuffle=False, callbacks=[together, checkpoint, cut_off], verbose=0)
    states = [state.numpy().tolist() for state in checkpoint._generators()]
    weights = [weight.tolist() for weight in model.get_weights()]
    return {"begun": cut_off.begun, "history": checkpoint.history, "weights": weights, "states": states}

def run(config, ctx):
    hidden = ctx.directory / "seen-by-1" if ctx.rank else ctx.directory / "seen-by-0"
    with ctx.horovod() as hvd:
        never = train(ctx, hvd, hidden / "never")
        try:
            train(ctx, hvd, hidden / "cut", last=3)
        except KeyboardInterrupt:
            pass
        resumed = train(ctx, hvd, hidden / "cut")
    (ctx.directory / f"{ctx.rank}.json").write_text(json.dumps({"never": never, "resumed": resumed}))
    return resumed["history"]["loss"][-1]

problem = Problem([Float("unused", 0.0, 1.0)], run, objective="loss")
"""


def test_all_go_on_where_the_first_one_does_each_with_its_own_dropout(problem_file, tmp_path):
    line = [PROGRAM, "search", problem_file(GANG), "--search", "random", "--trials", "1", "--workers", "2"]
    ended = subprocess.run(
        [*line, "--ranks-per-trial", "2", "--run-dir", tmp_path / "run"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (directory,) = (tmp_path / "run" / "trials").iterdir()
    assert list((directory / "seen-by-0").rglob("epoch-5"))
    assert not (directory / "seen-by-1").exists()
    ranks = [json.loads((directory / f"{rank}.json").read_text()) for rank in (0, 1)]
    for told in ranks:
        assert told["never"]["begun"] == [0, 1, 2, 3, 4]
        assert told["resumed"]["begun"] == [3, 4]
        for what in ("weights", "history", "states"):
            assert told["resumed"][what] == told["never"][what]
    first, second = (told["resumed"] for told in ranks)
    assert first["weights"] == second["weights"]
    assert first["history"] == second["history"]
    assert first["states"] != second["states"]
