"""Which rows each process of a trial trains on."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras import Shard  # noqa: E402


def shards(rows, batch_size, size, seed=3, **options):
    """Return the shards of all processes; the targets are the rows' numbers, the inputs their doubles."""
    y = np.arange(rows)
    return [
        Shard(2 * y, y, batch_size, SimpleNamespace(rank=rank, size=size, seed=seed), **options)
        for rank in range(size)
    ]


def batches(shard):
    """Return the rows of each batch of one epoch, and begin the next."""
    found = []
    for index in range(len(shard)):
        x, y = shard[index]
        assert (x == 2 * y).all()
        found.append(y.tolist())
    shard.on_epoch_end()
    return found


CASES = [(64, 8, 2), (65, 8, 2), (100, 7, 3), (17, 4, 4), (9, 1, 2), (1000, 32, 8)]


@pytest.mark.parametrize(("rows", "batch_size", "size"), CASES)
def test_all_have_equally_many_equally_large_batches(rows, batch_size, size):
    lengths = [[len(batch) for batch in batches(shard)] for shard in shards(rows, batch_size, size)]
    assert lengths == [[batch_size] * (rows // (batch_size * size))] * size


@pytest.mark.parametrize(("rows", "batch_size", "size"), CASES)
def test_each_row_is_one_processs_once_an_epoch_but_for_a_remainder(rows, batch_size, size):
    together = shards(rows, batch_size, size)
    left_out = set()
    for _ in range(5):
        seen = [row for shard in together for batch in batches(shard) for row in batch]
        assert len(seen) == len(set(seen)) > rows - batch_size * size
        left_out |= set(range(rows)) - set(seen)
    remainder = rows % (batch_size * size)
    assert len(left_out) > remainder if remainder else not left_out


@pytest.mark.parametrize(("rows", "batch_size", "size"), CASES)
@pytest.mark.parametrize("shuffle", [True, False])
def test_together_they_have_the_batches_of_a_single_process(rows, batch_size, size, shuffle):
    together = shards(rows, batch_size, size, shuffle=shuffle)
    (alone,) = shards(rows, batch_size * size, 1, shuffle=shuffle)
    for _ in range(3):
        parts = zip(*[batches(shard) for shard in together], strict=True)
        whole = batches(alone)
        joined = [[row for part in batch for row in part] for batch in parts]
        assert joined == whole[: len(joined)]
        assert len(whole) - len(joined) in (0, 1)


def test_a_process_alone_leaves_nothing_out():
    (alone,) = shards(10, 4, 1)
    assert [len(batch) for batch in batches(alone)] == [4, 4, 2]
    assert sorted(row for batch in batches(alone) for row in batch) == list(range(10))


def test_each_epoch_and_each_seed_has_an_order_of_its_own_and_the_same_one_again():
    def orders(seed):
        (shard,) = shards(50, 50, 1, seed=seed)
        return [batches(shard)[0] for _ in range(3)]

    first = orders(3)
    assert orders(3) == first
    assert len({tuple(order) for order in (*first, *orders(4))}) == 6


def test_without_shuffling_the_rows_keep_their_order():
    first, second = shards(8, 2, 2, shuffle=False)
    for _ in range(2):
        assert (batches(first), batches(second)) == ([[0, 1], [4, 5]], [[2, 3], [6, 7]])


@pytest.mark.parametrize(("rows", "size", "each"), [(5, 2, 2), (4, 4, 1), (7, 1, 7)])
def test_batches_are_smaller_where_there_are_not_enough_rows(rows, size, each):
    for shard in shards(rows, 100, size):
        assert [len(batch) for batch in batches(shard)] == [each]


@pytest.mark.parametrize(("rows", "size"), [(0, 1), (1, 2), (3, 4)])
def test_fewer_rows_than_processes_are_refused(rows, size):
    with pytest.raises(ValueError, match=f"Shard: {rows} rows are too few for {size} processes"):
        shards(rows, 2, size)


@pytest.mark.parametrize(("batch", "size"), [(16, 32), (0, 1), (1, 2)])
def test_a_batch_that_has_no_row_for_each_process_is_refused(batch, size):
    with pytest.raises(ValueError, match=f"batch_size must be at least 1.*at least {size} rows"):
        shards(100, batch // size, size)


def test_keras_trains_on_just_these_batches_in_this_order():
    """The gradient of the only weight is minus the batch's mean, so each step tells its batch."""

    class Steps(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.weights = [0.0]

        def on_train_batch_end(self, batch, logs=None):
            self.weights.append(float(self.model.weights[0].numpy()[0, 0]))

    x = np.ones((40, 1), dtype="float32")
    y = np.random.default_rng(0).normal(size=(40, 1)).astype("float32")
    ctx = SimpleNamespace(rank=1, size=2, seed=3)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])

    def loss(y, predicted):
        return -keras.ops.mean(y * predicted)

    model.compile(keras.optimizers.SGD(1.0), loss)
    steps = Steps()
    model.fit(Shard(x, y, 4, ctx), shuffle=False, epochs=3, callbacks=[steps], verbose=0)
    expected, shard = [], Shard(x, y, 4, ctx)
    for _ in range(3):
        shard.on_epoch_end()  # Keras ends one before the first, in which it looks what batches are like
        expected += [shard[index][1].mean() for index in range(len(shard))]
    assert np.diff(steps.weights) == pytest.approx(expected, abs=1e-5)
