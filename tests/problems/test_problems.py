"""The problems that come with deephpo: each can be searched, and those with a known optimum have it."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deephpo.cli.main import main
from deephpo.trial import TrialState
from deephpo.worker.evaluation import evaluate
from deephpo.worker.messages import Assignment

PROBLEMS = sorted((Path(__file__).parents[2] / "problems").glob("*.py"))
HEAVY = {path.stem: pytest.mark.tensorflow for path in PROBLEMS if "import keras" in path.read_text()}

HARTMANN6_MINIMISER = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)


def named(name: str):
    """Return the module of a problem file, loaded here."""
    (path,) = (path for path in PROBLEMS if path.stem == name)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", [pytest.param(p, marks=HEAVY.get(p.stem, ()), id=p.stem) for p in PROBLEMS])
def test_every_problem_passes_the_check(path, capsys):
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{path.stem}: ")
    assert shown.endswith("The problem can be searched.\n")


def test_hartmann6_knows_its_optimum_and_nothing_is_below_it():
    module = named("hartmann6")

    def value(point):
        return module.run({f"x{j}": float(x) for j, x in enumerate(point, start=1)})

    optimum = module.problem.declaration.optimum
    assert value(HARTMANN6_MINIMISER) == pytest.approx(optimum, abs=1e-5)
    rng = np.random.default_rng(0)
    near = np.clip(HARTMANN6_MINIMISER + rng.normal(0.0, 0.05, (500, 6)), 0.0, 1.0)
    assert min(map(value, [*near, *rng.random((500, 6))])) >= optimum


def evaluated(module, config, seed=1):
    reports = []
    problem = module.problem
    outcome = evaluate(problem, Assignment(0, config, seed, "unused"), reports.append)
    return outcome, reports


@pytest.mark.parametrize(
    "extra",
    [
        {"optimizer": "adam", "layers": 1},
        {"optimizer": "sgd", "momentum": 0.9, "layers": 2, "units_2": 16},
    ],
)
def test_digits_mlp_learns_and_the_lowest_error_of_all_epochs_counts(extra, monkeypatch):
    module = named("digits_mlp")
    config = {
        "learning_rate": 0.01,
        "units_1": 32,
        "activation": "relu",
        "weight_decay": 1e-4,
        "batch_size": 32,
        **extra,
    }
    monkeypatch.setattr(module.problem, "declaration", with_epochs(module.problem.declaration, 2))
    outcome, reports = evaluated(module, config)
    assert outcome.state is TrialState.COMPLETED, outcome.detail
    errors = [report.metrics["val_error"] for report in reports]
    assert [report.step for report in reports] == [1, 2]
    assert outcome.value == min(errors) < 0.7
    assert evaluated(module, config)[0].value == outcome.value


def with_epochs(declaration, epochs):
    return replace(declaration, fidelity=replace(declaration.fidelity, high=epochs))


def test_digits_mlp_validates_on_images_that_it_never_trains_on():
    x_train, y_train, x_valid, y_valid = named("digits_mlp").data()
    assert len(x_train) + len(x_valid) == 1797
    assert len(x_valid) == 599
    assert set(y_train) == set(y_valid) == set(range(10))
