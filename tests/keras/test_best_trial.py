import os

import pytest

from deephpo.errors import ProblemError, RunDirectoryError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

from deephpo.keras.best_trial import best_trial, network_of  # noqa: E402


def test_the_best_trial_comes_with_its_configuration_seed_and_value(finished_run):
    run = finished_run()
    best = best_trial(run.path)
    assert (best.target, best.objective) == (str(run.problem), "val_loss")
    assert (best.trial.id, best.trial.config, best.trial.seed) == (1, run.best.config, 11)
    assert best.trial.value == 0.2


def test_a_run_without_success_has_no_best_trial(finished_run, tmp_path):
    run = finished_run(states=(None, None, None))
    with pytest.raises(RunDirectoryError, match=r"No trial in .* has succeeded yet"):
        best_trial(run.path)
    with pytest.raises(RunDirectoryError, match="There is no directory"):
        best_trial(tmp_path / "elsewhere")


def test_the_network_is_the_one_of_the_problems_file(finished_run):
    run = finished_run()
    model = network_of(str(run.problem), run.best.config)
    assert model.get_layer("second").kernel.shape == (3, 3, 5, 5)


def test_a_network_that_wants_more_than_the_configuration_is_told_of_defaults(finished_run, squares):
    run = finished_run(squares.replace("network(config):", "network(config, shape):"), name="more.py")
    with pytest.raises(ProblemError, match=r"more.py .* is network\(config, shape\); give .* defaults"):
        network_of(str(run.problem), run.best.config)


def test_what_is_no_network_of_keras_is_refused(finished_run, squares):
    run = finished_run(squares.replace("return keras.Model(", "return ("), name="other.py")
    with pytest.raises(ProblemError, match="must return a Keras network, not a tuple"):
        network_of(str(run.problem), run.best.config)


def test_a_file_without_a_network_function_is_told_what_to_write(finished_run, squares):
    run = finished_run(squares.replace("network(", "build("), name="without.py")
    with pytest.raises(ProblemError, match=r"has no function network\(config\).*; write one"):
        network_of(str(run.problem), run.best.config)
