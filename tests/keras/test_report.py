"""What a Keras training tells the search, and what the search tells it."""

import os
from multiprocessing import Pipe
from types import SimpleNamespace

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo import TrialStopped  # noqa: E402
from deephpo.keras import Report  # noqa: E402
from deephpo.worker.context import Context  # noqa: E402
from deephpo.worker.inbox import Inbox  # noqa: E402
from deephpo.worker.messages import Assignment, Halt  # noqa: E402


def train(ctx, epochs=4):
    """Train with two metrics, one of them our own; return Keras' history."""

    def largest(y, predicted):
        return keras.ops.max(keras.ops.abs(y - predicted))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[largest])
    x = np.random.default_rng(0).normal(size=(32, 3))
    y = x.sum(axis=1)
    fit = model.fit(x, y, validation_data=(x, y), epochs=epochs, callbacks=[Report(ctx)], verbose=0)
    return fit.history


def context(reports, directory, left_s=None, notice_s=0.0):
    assignment = Assignment(7, {}, 1, str(directory), left_s=left_s, notice_s=notice_s)
    return Context(assignment, 4, reports.append)


def test_every_epoch_is_reported_with_all_metrics_as_plain_floats(tmp_path):
    reports = []
    history = train(context(reports, tmp_path))
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert {report.trial_id for report in reports} == {7}
    for name in ("loss", "val_loss", "largest", "val_largest"):
        assert [report.metrics[name] for report in reports] == history[name]
    assert {type(value) for report in reports for value in report.metrics.values()} == {float}


def test_the_training_ends_after_the_epoch_in_which_the_search_must_end(tmp_path):
    reports = []
    train(context(reports, tmp_path, left_s=5.0, notice_s=10.0))
    assert [report.step for report in reports] == [1]


def test_what_several_processes_train_is_not_ended_by_the_clock_of_one():
    reported = []
    ctx = SimpleNamespace(
        size=2, report=lambda step, **metrics: reported.append(step), should_stop=lambda: True
    )
    train(ctx)
    assert reported == [1, 2, 3, 4]


def test_a_trial_that_a_rule_stops_ends_in_the_middle_of_an_epoch(tmp_path):
    reports, batches = [], []
    search, line = Pipe()
    assignment = Assignment(7, {}, 1, str(tmp_path))
    ctx = Context(assignment, 4, reports.append, Inbox(assignment, line))

    class Search(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            batches.append(batch)
            if len(batches) == 8 + 3:
                search.send(Halt(7))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((32, 3))
    with pytest.raises(TrialStopped):
        model.fit(x, x[:, :1], batch_size=4, epochs=4, callbacks=[Search(), Report(ctx)], verbose=0)
    assert [report.step for report in reports] == [1]
    assert len(batches) == 8 + 3
