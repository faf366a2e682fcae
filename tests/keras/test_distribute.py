"""Data-parallel training with Keras: a process alone, and a real gang of two on the local driver."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras import Together, distribute  # noqa: E402

PROGRAM = Path(sys.executable).with_name("deephpo")
needs_horovod = pytest.mark.skipif(
    find_spec("horovod") is None, reason="Horovod is not installed: make horovod builds it"
)


def test_for_a_process_alone_the_optimizer_stays_as_it_is():
    adam = keras.optimizers.Adam(0.5)
    assert distribute(adam, None) is adam
    assert isinstance(distribute("sgd", None), keras.optimizers.SGD)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.Adam(0.5, beta_1=0.8, clipnorm=1.0),
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), momentum=0.9),
        keras.optimizers.RMSprop(0.1, weight_decay=0.01),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_a_distributed_optimizer_has_the_name_and_the_configuration_of_the_given_one(optimizer):
    distributed = distribute(optimizer, SimpleNamespace())
    assert isinstance(distributed, type(optimizer))
    assert type(distributed).__name__ == type(optimizer).__name__
    assert distributed.get_config() == optimizer.get_config()


def test_for_a_process_alone_nothing_is_kept_together():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    together = Together(SimpleNamespace(rank=0, should_stop=lambda: True), None)
    together.set_model(model)
    weights = model.get_weights()
    together.on_train_begin()
    logs = {"loss": 0.5}
    together.on_epoch_end(0, logs)
    assert logs == {"loss": 0.5}
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))


GANG = """
import json, os
from contextlib import nullcontext
from pathlib import Path
import keras
import numpy as np
from deephpo import Categorical, Problem
from deephpo.keras import Report, Shard, Together, distribute

x = np.random.default_rng(0).normal(size=(120, 6)).astype("float32")
words = np.random.default_rng(1).integers(0, 9, (120, 3))
y = x[:, :1] ** 2 + words[:, :1] / 9

def dense():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]), x

def sparse():
    numbers = deep = keras.Input((6,))
    for _ in range(3):  # so that not all sparse gradients come first
        deep = keras.layers.Dense(6, "tanh")(deep)
    text = keras.Input((3,), dtype="int32")
    first = keras.layers.Embedding(9, 4)(text)
    second = keras.layers.Embedding(20, 2)(text)
    flat = keras.layers.Concatenate()([keras.layers.Flatten()(first), keras.layers.Flatten()(second)])
    hidden = keras.layers.Dense(8, "tanh")(keras.layers.Concatenate()([deep, flat]))
    return keras.Model([numbers, text], keras.layers.Dense(1)(hidden)), None

class Both(Shard):
    def __getitem__(self, index):
        rows, target = super().__getitem__(index)
        return (x[rows], words[rows]), target

def run(config, ctx):
    keras.utils.set_random_seed(7 + ctx.rank)  # the others' first weights are none that last
    ctx.seed = 5
    environment = dict(os.environ)
    with ctx.horovod() if ctx.size > 1 else nullcontext() as hvd:
        assert dict(os.environ) == environment
        model, inputs = globals()[config["network"]]()
        optimizer = keras.optimizers.get(config["optimizer"])
        model.compile(distribute(optimizer, hvd), "mse", jit_compile=False)
        kind, first = (Shard, inputs) if inputs is not None else (Both, np.arange(len(x)))
        data = kind(first, y, 20 // ctx.size, ctx)
        half = slice(ctx.rank, None, ctx.size)
        valid = (x[half], y[half]) if inputs is not None else ((x[half], words[half]), y[half])
        history = model.fit(
            data, shuffle=False, epochs=3, validation_data=valid, verbose=0,
            callbacks=[Together(ctx, hvd), Report(ctx)],
        ).history
    assert dict(os.environ) == environment
    saved = ctx.directory / f"model-{ctx.size}-{ctx.rank}.keras"
    model.save(saved)
    keras.models.load_model(saved)
    weights = [float(number) for weight in model.get_weights() for number in weight.ravel()]
    told = json.dumps({"weights": weights, "history": history, "pid": os.getpid()})
    (ctx.directory / f"told-{ctx.size}-{ctx.rank}.json").write_text(told)
    return history["loss"][-1] if ctx.rank == 0 else None

space = [Categorical("network", ["dense", "sparse"]), Categorical("optimizer", ["sgd", "adam"])]
problem = Problem(space, run, objective="loss")
"""


def search(problem, run_dir, ranks):
    """Search the whole grid; return what each process of each trial told, by configuration and rank."""
    line = [PROGRAM, "search", problem, "--search", "grid", "--workers", "2", "--run-dir", run_dir]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run(
        [*line, "--ranks-per-trial", str(ranks)], env=quiet, capture_output=True, text=True, timeout=180
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = (run_dir / "results.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, row.split(","), strict=False)) for row in lines[1:]]
    assert [row["state"] for row in rows] == ["completed"] * 4, rows
    told = {}
    for row in rows:
        directory = run_dir / "trials" / f"{int(row['id']):06d}"
        for path in directory.glob("told-*.json"):
            _, size, rank = path.stem.split("-")
            assert int(size) == ranks
            told[row["p:network"], row["p:optimizer"], int(rank)] = json.loads(path.read_text())
            told[row["p:network"], row["p:optimizer"], int(rank)]["value"] = float(row["value"])
    return told


@needs_horovod
def test_two_processes_train_what_one_does_with_the_doubled_batch(problem_file, tmp_path):
    problem = problem_file(GANG)
    two, one = search(problem, tmp_path / "two", 2), search(problem, tmp_path / "one", 1)
    assert len(two) == 8
    for network, optimizer, rank in two:
        ours, alone = two[network, optimizer, rank], one[network, optimizer, 0]
        assert ours["weights"] == two[network, optimizer, 0]["weights"]
        assert ours["history"] == two[network, optimizer, 0]["history"]
        assert ours["weights"] == pytest.approx(alone["weights"], abs=1e-5)
        for name in ("loss", "val_loss"):
            assert ours["history"][name] == pytest.approx(alone["history"][name], abs=1e-5)
        assert ours["value"] == ours["history"]["loss"][-1]
    assert len({told["pid"] for told in two.values()}) == 2  # the children stayed warm
    losses = [told["history"]["loss"] for told in two.values()]
    assert np.diff(losses, axis=1).max() < 0
