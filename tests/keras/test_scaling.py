"""The learning rate of data-parallel training."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras import Checkpoint, LinearScaling  # noqa: E402


class Rates(keras.callbacks.Callback):
    """Notes with which learning rate each step was made."""

    def __init__(self):
        super().__init__()
        self.of_steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.of_steps.append(float(self.model.optimizer.learning_rate.numpy()))


def rates(size, warmup, epochs=3, *, others=(), before=()):
    """Train with four steps an epoch from a rate of 0.1; return the rates of all steps."""
    ctx, noted = SimpleNamespace(size=size), Rates()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.zeros((8, 1))
    callbacks = [*before, LinearScaling(ctx, warmup), *others, noted]
    model.fit(x, x, batch_size=2, epochs=epochs, callbacks=callbacks, verbose=0)
    return noted.of_steps


def test_it_grows_evenly_to_so_many_times_its_value_and_stays_there():
    expected = [0.1 * (1 + 3 * step / 8) for step in range(8)] + [0.4] * 4
    assert rates(4, 2) == pytest.approx(expected)


def test_without_a_warm_up_it_is_so_many_times_its_value_from_the_first_step_on():
    assert rates(4, 0) == pytest.approx([0.4] * 12)


@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_that_of_a_process_alone_stays(warmup):
    assert rates(1, warmup) == pytest.approx([0.1] * 12)


def test_a_warm_up_longer_than_the_training_is_not_done_with():
    grown = rates(2, 6)
    assert grown == sorted(grown)
    assert grown[-1] == pytest.approx(0.1 * (1 + 11 / 24))


@pytest.mark.parametrize("order", ["before", "others"], ids=["behind the checkpoint", "before it"])
def test_a_training_that_goes_on_has_the_rates_of_one_that_was_never_cut_off(tmp_path, order):
    ctx = SimpleNamespace(rank=0, size=1, directory=tmp_path)
    first = rates(4, 2, epochs=1, **{order: [Checkpoint(ctx)]})
    rest = rates(4, 2, epochs=3, **{order: [Checkpoint(ctx)]})
    assert len(rest) == 8
    assert first + rest == pytest.approx(rates(4, 2))
