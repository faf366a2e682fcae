"""The classifier of source code: its data are fair, and its network learns from them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deephpo.trial import TrialState
from deephpo.worker.evaluation import evaluate
from deephpo.worker.messages import Assignment

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

CONFIG = {
    "learning_rate": 5e-3,
    "clipnorm": 1.0,
    "batch_size": 128,
    "embedding": 16,
    "layers": 1,
    "units": 32,
    "bidirectional": False,
    "dropout": 0.1,
}


@pytest.fixture(scope="module")
def module():
    path = Path(__file__).parents[2] / "problems" / "lstm_classifier.py"
    spec = importlib.util.spec_from_file_location("lstm_classifier", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_as_many_pieces_of_each_package(module):
    (x, y), (x_valid, y_valid) = module.data()
    assert x.shape == (16384, 40)
    assert x_valid.shape == (2048, 40)
    assert np.bincount(y).tolist() == [2048] * 8
    assert np.bincount(y_valid).tolist() == [256] * 8


def test_the_vocabulary_is_that_of_the_training_part_and_reads_most_of_the_other(module):
    numbers = module.vocabulary()
    assert sorted(numbers.values()) == list(range(1, module.VOCABULARY))
    assert numbers["self"] < 50
    (_, _), (x_valid, _) = module.data()
    assert 0.05 < (x_valid == 0).mean() < 0.4


def test_the_parts_of_a_package_are_all_its_tokens_in_two(module):
    early, late = module.sources("http")
    assert 2.9 < len(early) / len(late) < 3.1
    assert {"HTTPConnection", "getresponse"} <= {*early, *late}


def test_it_learns_to_tell_packages(module, tmp_path):
    problem = module.problem
    problem.declaration = replace(problem.declaration, fidelity=module.Fidelity("epoch", 2))
    reports = []
    outcome = evaluate(problem, Assignment(0, CONFIG, 1, str(tmp_path)), reports.append)
    assert outcome.state is TrialState.COMPLETED, outcome.detail
    assert outcome.value == max(report.metrics["val_accuracy"] for report in reports)
    assert outcome.value > 0.5


@pytest.mark.parametrize(("layers", "bidirectional", "lstms"), [(1, False, 1), (3, False, 3), (2, True, 2)])
def test_the_network_is_the_configuration(module, layers, bidirectional, lstms):
    model = module.network({**CONFIG, "layers": layers, "bidirectional": bidirectional})
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Bidirectional" if bidirectional else "LSTM") == lstms
    assert model.output_shape == (None, 8)
