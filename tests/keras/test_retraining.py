import json
import os

import numpy as np
import pytest

from deephpo.errors import ProblemError, RunDirectoryError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytest.importorskip("tensorboard")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras.retraining import main, retrain  # noqa: E402
from deephpo.worker.loading import load_problem  # noqa: E402


def lowest(history):
    return min(entry["val_loss"] for entry in history)


def loss_of(network, problem):
    """Return the validation loss of a saved network."""
    load_problem(str(problem))
    x, y = __import__("squares").data()
    model = keras.models.load_model(network)
    return model.evaluate(x[48:], y[48:], verbose=0)[0]


def test_the_best_trial_is_trained_with_its_seed_and_leaves_its_network_and_histograms(finished_run):
    run = finished_run()
    result = retrain(run.path)
    assert (result["trial"], result["config"], result["value_in_search"]) == (1, run.best.config, 0.2)
    assert [entry["step"] for entry in result["history"]] == [1, 2, 3]
    assert result["metrics"]["val_loss"] == lowest(result["history"])
    assert json.loads((run.path / "best" / "result.json").read_text()) == result
    again = retrain(run.path, output=run.path / "again")
    assert again["metrics"] == pytest.approx(result["metrics"])
    assert list((run.path / "best" / "tensorboard" / "train").glob("events.*"))


def test_the_network_is_that_of_the_best_epoch_not_of_the_last(finished_run, squares):
    # A learning rate below zero makes the last epoch the worst.
    rates = "keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch < 2 else -0.5)"
    spoilt = squares.replace("callbacks=[checkpoint,", f"callbacks=[{rates}, checkpoint,")
    run = finished_run(spoilt)
    result = retrain(run.path)
    losses = [entry["val_loss"] for entry in result["history"]]
    assert np.argmin(losses) < 2
    assert loss_of(run.path / "best" / "network.keras", run.problem) == pytest.approx(min(losses), rel=1e-4)


def test_an_interrupted_retraining_goes_on(finished_run, squares):
    source = squares.replace("def run(config, ctx):", "INTERRUPTED = True\n\ndef run(config, ctx):").replace(
        'return {"val_loss"', 'if INTERRUPTED: raise KeyboardInterrupt\n    return {"val_loss"'
    )
    run = finished_run(source.replace("epochs=ctx.budget", "epochs=2 if INTERRUPTED else ctx.budget"))
    with pytest.raises(KeyboardInterrupt):
        retrain(run.path)
    begun = json.loads((run.path / "best" / "result.json").read_text())
    assert begun["metrics"] is None
    run.problem.write_text(run.problem.read_text().replace("INTERRUPTED = True", "INTERRUPTED = False"))
    result = retrain(run.path)
    assert result["history"][:2] == begun["history"]
    assert [entry["step"] for entry in result["history"]] == [1, 2, 3]
    with pytest.raises(RunDirectoryError, match="holds a retraining already; remove it"):
        retrain(run.path)


def test_a_problem_that_cannot_be_asked_is_told_how_at_its_first_report(finished_run, squares):
    run = finished_run(squares.replace(", *requested(ctx)", ""))
    with pytest.raises(ProblemError, match=r"add \*requested\(ctx\)"):
        retrain(run.path)
    run.problem.write_text(squares)
    assert [entry["step"] for entry in retrain(run.path)["history"]] == [1, 2, 3]


def test_the_command_says_what_came_of_it(finished_run, tmp_path, capsys):
    run = finished_run()
    assert main([str(run.path), "--output", str(tmp_path / "kept")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Trial 1 is retrained: val_loss = ")
    assert f"The network is {tmp_path / 'kept' / 'network.keras'}: " in said
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "There is no directory" in capsys.readouterr().err
