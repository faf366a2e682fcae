import platform
import textwrap
from types import SimpleNamespace

import pytest

from deephpo.storage.journal import Journal
from deephpo.storage.records import Begun, Ended, Finished, Started, Suggested, WorkerJoined
from deephpo.trial import Outcome, Trial, TrialState
from deephpo.worker.loading import load_problem

SQUARES = """
    import keras
    import numpy as np

    from deephpo import Categorical, Fidelity, Integer, Problem, Space
    from deephpo.keras import Checkpoint, Report
    from deephpo.keras.tensorboard import requested

    def data():
        rng = np.random.default_rng(0)
        y = np.arange(64) % 2
        x = rng.normal(0, 0.1, (64, 8, 8, 3)) + y[:, None, None, None]
        return x.astype("float32"), y

    def network(config):
        image = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(config["filters"], 3, padding="same", activation="relu", name="first")(image)
        if config["residual"]:
            bent = keras.layers.Dropout(0.1)(x)
            bent = keras.layers.Conv2D(config["filters"], 3, padding="same", name="second")(bent)
            x = keras.layers.Add()([x, bent])
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(image, keras.layers.Dense(2, "softmax")(x))

    def run(config, ctx):
        keras.utils.set_random_seed(ctx.seed)
        model = network(config)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        checkpoint = Checkpoint(ctx)
        x, y = data()
        model.fit(x[:48], y[:48], validation_data=(x[48:], y[48:]), epochs=ctx.budget, verbose=0,
                  callbacks=[checkpoint, Report(ctx), *requested(ctx)])
        return {"val_loss": min(checkpoint.history["val_loss"])}

    problem = Problem(
        Space([Integer("filters", 2, 6), Categorical("residual", [False, True])]),
        run,
        objective="val_loss",
        fidelity=Fidelity("epoch", 3),
        resumable=True,
    )
"""
BEST = Trial(1, {"filters": 5, "residual": True}, seed=11)


@pytest.fixture
def squares():
    """The source text of a problem that learns to tell dark images from bright ones in three epochs."""
    return textwrap.dedent(SQUARES)


@pytest.fixture
def finished_run(tmp_path, squares):
    """Return a function that writes a problem's file and a run of three trials, the second one the best."""

    def finished(source=squares, name="squares.py", states=(0.9, 0.2, 0.5)):
        file = tmp_path / name
        file.write_text(source)
        declaration = load_problem(str(file)).named("squares").to_dict()
        trials = (
            Trial(0, {"filters": 2, "residual": False}),
            BEST,
            Trial(2, {"filters": 3, "residual": False}),
        )
        records = [Begun(0.0, "0", platform.node(), str(file), declaration, {}), WorkerJoined(0.0, 1, "here")]
        records.append(Suggested(0.0, trials, False))
        for trial, value in zip(trials, states, strict=True):
            outcome = Outcome(trial.id, TrialState.FAILED, reason="so be it")
            if value is not None:
                outcome = Outcome(trial.id, TrialState.COMPLETED, value, {"val_loss": value})
            records += [Started(1.0, trial.id, 1), Ended(2.0, 1, outcome)]
        directory = tmp_path / "run"
        directory.mkdir()
        journal = Journal(directory / "journal.jsonl")
        journal.append([*records, Finished(3.0, "all trials are done", 0)])
        journal.close()
        return SimpleNamespace(path=directory, problem=file, best=BEST)

    return finished
