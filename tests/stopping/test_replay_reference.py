"""Rules on the published curves find what an earlier replay with NumPy found, to the printed digit."""

import sys
from functools import partial
from pathlib import Path

import pytest

from deephpo.stopping.create import create_rule
from deephpo.stopping.recorded import read_recording
from deephpo.stopping.replay import judge

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from early_stopping_reference import ORDERS, REFERENCE, Figures, differences

TABLES = Path(__file__).parents[2] / "benchmarks" / "tables"
FILES = {"CIFAR-100": "cifar100_curves.csv", "MNIST": "mnist_curves.csv"}
RULES = ("compound:beta=0.1", "compound:beta=0.2", "compound:beta=0.25", "median")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rule", RULES)
def test_the_published_order_gives_the_references_figures(rule, name):
    ours, theirs = found(rule, name, orders=1), REFERENCE[rule][name]
    of_one_order = ("stopped", "steps_saved", "time_saved")
    assert all(getattr(ours, figure) == getattr(theirs, figure) for figure in of_one_order)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rule", [*RULES, "asha:eta=2", "asha:eta=4"])
def test_random_orders_do_too(rule, name):
    assert list(differences(found(rule, name, ORDERS), REFERENCE[rule][name])) == []


def found(rule, name, orders):
    recording = read_recording(TABLES / FILES[name], "maximize", None)
    return Figures.of(judge(recording, rule, partial(create_rule, rule, recording.subject), orders))
