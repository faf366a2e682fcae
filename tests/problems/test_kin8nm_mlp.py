"""kin8nm: the real data, parted as DEEP-BO's were, and what a training on them returns."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deephpo.trial import TrialState
from deephpo.worker.evaluation import evaluate
from deephpo.worker.messages import Assignment

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

GOOD = {
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "optimizer": "adam",
    "loss": "mean_squared_error",
    "batch_size": 128,
    "layers": 3,
    "units": 64,
    "activation": "tanh",
    "regularizer": "none",
}


@pytest.fixture(scope="module")
def module():
    path = Path(__file__).parents[2] / "problems" / "kin8nm_mlp.py"
    spec = importlib.util.spec_from_file_location("kin8nm_mlp", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(module, directory, epochs, problem="problem", **changes):
    problem = getattr(module, problem)
    problem.declaration = replace(problem.declaration, fidelity=module.Fidelity("epoch", epochs))
    reports = []
    config = {**GOOD, **changes}
    outcome = evaluate(problem, Assignment(0, config, 1, str(directory)), reports.append)
    return outcome, [report.metrics for report in reports]


def test_the_data_are_all_rows_of_kin8nm_and_none_twice(module):
    parts = module.data()
    assert [x.shape for x, _ in parts] == [(6530, 8), (824, 8), (838, 8)]
    assert [y.shape for _, y in parts] == [(6530, 1), (824, 1), (838, 1)]
    assert len(np.unique(np.concatenate([x for x, _ in parts]), axis=0)) == 8192
    x = np.concatenate([x for x, _ in parts])
    assert np.abs(x).max() <= math.pi / 2
    assert np.std(x, axis=0) == pytest.approx(math.pi / math.sqrt(12), rel=0.02)


def test_a_training_returns_its_lowest_validation_error_and_the_test_error_of_that_epoch(module, tmp_path):
    outcome, curve = trained(module, tmp_path, 12, learning_rate=2e-2, schedule="constant")
    assert outcome.state is TrialState.COMPLETED, outcome.detail
    best = min(curve, key=lambda metrics: metrics["val_rmse"])
    assert outcome.value == best["val_rmse"] < 0.2
    assert outcome.metrics["test_rmse"] == best["test_rmse"]
    assert best["test_rmse"] == pytest.approx(best["val_rmse"], rel=0.25)
    assert best["test_rmse"] != best["val_rmse"]


def test_a_training_that_diverges_ends_at_once_and_fails(module, tmp_path):
    outcome, curve = trained(module, tmp_path, 5, problem="stand_in", learning_rate=1e30, optimizer="rmsprop")
    assert outcome.state is TrialState.FAILED
    assert outcome.reason == "val_rmse is nan"
    assert len(curve) == 1
