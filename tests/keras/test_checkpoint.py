"""A training that was cut off goes on after its last whole epoch, and ends as if it had never been."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras import Checkpoint, Shard  # noqa: E402

EPOCHS = 6


class CutOff(keras.callbacks.Callback):
    """Ends a training in the middle of an epoch, counted from 0."""

    def __init__(self, epoch):
        super().__init__()
        self.last, self.epoch = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.last and batch == 1:
            raise KeyboardInterrupt


def context(directory):
    return SimpleNamespace(directory=directory, rank=0, size=1)


def network():
    keras.utils.set_random_seed(3)
    layers = [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def train(directory, *others, epochs=EPOCHS):
    """Train without shuffling; return the checkpoint and the trained network."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    checkpoint, model = Checkpoint(context(directory)), network()
    model.fit(
        x,
        x.sum(axis=1),
        epochs=epochs,
        shuffle=False,
        batch_size=16,
        callbacks=[checkpoint, *others],
        verbose=0,
    )
    return checkpoint, model


def cut_off(directory, epoch):
    with pytest.raises(KeyboardInterrupt):
        train(directory, CutOff(epoch))


def test_a_training_that_was_cut_off_ends_like_one_that_was_not(tmp_path):
    never, model = train(tmp_path / "never")
    cut_off(tmp_path / "cut", 2)
    cut_off(tmp_path / "cut", 4)
    cut, resumed = train(tmp_path / "cut")
    assert len(never.history["loss"]) == EPOCHS
    assert cut.history == never.history
    for weights, others in zip(model.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


def test_epochs_that_were_saved_are_not_trained_again(tmp_path):
    cut_off(tmp_path, 4)
    trained = []
    train(tmp_path, keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: trained.append(epoch)))
    assert trained == [4, 5]


def test_a_training_that_was_done_is_not_trained_on_and_its_metrics_are_there(tmp_path):
    done, model = train(tmp_path)
    again, same = train(tmp_path)
    assert again.history == done.history
    np.testing.assert_array_equal(model.get_weights()[0], same.get_weights()[0])


def test_only_the_last_epoch_is_kept(tmp_path):
    train(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == [f"epoch-{EPOCHS}"]


@pytest.mark.parametrize("damage", ["weights", "generators", "epoch"])
def test_a_damaged_checkpoint_is_said_and_the_training_begins_anew(tmp_path, damage):
    never, _ = train(tmp_path / "never")
    cut_off(tmp_path / "cut", 1)
    saved = tmp_path / "cut" / "checkpoint" / "epoch-1"
    pattern = {"weights": "*.h5", "generators": "beside.json", "epoch": "*metadata*"}[damage]
    (file,) = saved.glob(pattern)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.warns(UserWarning, match="cannot be read, so the training begins anew"):
        checkpoint, _ = train(tmp_path / "cut")
    assert checkpoint.history == never.history


@pytest.mark.parametrize("between", [[], [keras.layers.Dropout(0.5)]])
def test_a_checkpoint_of_another_network_is_not_taken_by_halves(tmp_path, between):
    never, _ = train(tmp_path / "never")
    first, last = keras.layers.Dense(8), keras.layers.Dense(3)
    model = keras.Sequential([keras.Input((4,)), first, *between, last])
    model.compile("sgd", "mse")
    x = np.ones((16, 4), "float32")
    model.fit(x, np.ones((16, 3)), callbacks=[Checkpoint(context(tmp_path / "cut"))], verbose=0)
    with pytest.warns(UserWarning, match="begins anew"):
        checkpoint, _ = train(tmp_path / "cut")
    assert checkpoint.history == never.history


def test_a_shard_goes_on_in_the_order_of_the_epoch_in_which_it_was_cut_off(tmp_path):
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def train_on_shard(directory, *others):
        ctx, model = context(directory), network()
        shard = Shard(x, x.sum(axis=1), 16, SimpleNamespace(rank=0, size=1, seed=5))
        checkpoint = Checkpoint(ctx, shard=shard)
        model.fit(shard, epochs=4, shuffle=False, callbacks=[checkpoint, *others], verbose=0)
        return checkpoint.history

    never = train_on_shard(tmp_path / "never")
    for last in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            train_on_shard(tmp_path / "cut", CutOff(last))
    assert train_on_shard(tmp_path / "cut") == never


def test_several_processes_are_not_to_read_each_for_itself(tmp_path):
    ctx = SimpleNamespace(directory=tmp_path, rank=1, size=2)
    with pytest.raises(ValueError, match=r"2 processes train together.*as in Checkpoint\(ctx, hvd\)"):
        Checkpoint(ctx)


def test_a_checkpoint_of_more_processes_is_not_taken_by_halves(tmp_path):
    never, _ = train(tmp_path / "never")
    cut_off(tmp_path / "cut", 2)
    file = tmp_path / "cut" / "checkpoint" / "epoch-2" / "beside.json"
    beside = json.loads(file.read_text())
    file.write_text(json.dumps({**beside, "generators": 2 * beside["generators"]}))
    with pytest.warns(UserWarning, match="begins anew: 2 processes wrote it, and there are 1 now"):
        checkpoint, _ = train(tmp_path / "cut")
    assert checkpoint.history == never.history


def test_a_kill_at_any_time_leaves_a_whole_checkpoint(tmp_path):
    """Kill a process that does nothing but save; whatever the moment, what is there can be read."""
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_checkpoint as t\n"
        "print('ready', flush=True); t.train(pathlib.Path(sys.argv[2]), epochs=100_000)"
    )
    words = [sys.executable, "-c", program, os.path.dirname(__file__), str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        while not list((tmp_path / "checkpoint").glob("epoch-*")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)
        process.kill()
    epochs = max(int(p.name.removeprefix("epoch-")) for p in (tmp_path / "checkpoint").glob("epoch-*"))
    checkpoint, _ = train(tmp_path, epochs=epochs + 1)
    assert len(checkpoint.history["loss"]) == epochs + 1
