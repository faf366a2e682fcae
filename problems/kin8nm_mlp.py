"""A robot arm's kinematics, learned by a perceptron of a few layers in Keras 3: the data set kin8nm.

The space is like DEEP-BO's (Cho et al., IEEE Access 8, 2020).  How to scale the inputs and whether to shuffle
are not searched for, since all inputs have one scale already and shuffling does no harm; the learning rate,
which was each optimizer's default, is, and so is its schedule.

The data lie in data/kin8nm beside this file.  ``stand_in`` trains the same networks on an arm computed here.
"""

import math
import os
from functools import cache
from pathlib import Path

from deephpo import Categorical, Fidelity, Float, Integer, Ordinal, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from deephpo.keras import Checkpoint, Report
from deephpo.keras.tensorboard import requested

EPOCHS = 100
DIRECTORY = Path(__file__).resolve().parent / "data" / "kin8nm"


@cache
def data():
    """Return three pairs of x (n, 8) and y (n, 1): 6,530 rows to train, 824 to validate, 838 to test."""
    tables = [
        np.loadtxt(DIRECTORY / f"{part}.csv", delimiter=",", dtype="float32")
        for part in ("train", "validation", "test")
    ]
    return [(table[:, :8], table[:, 8:]) for table in tables]


@cache
def generated():
    """Return the same for 512, 128 and 128 rows: how far a planar arm of eight links reaches."""
    x = np.random.default_rng(0).uniform(-np.pi / 2, np.pi / 2, (768, 8)).astype("float32")
    directions = np.cumsum(x, axis=1)
    reach = np.hypot(np.cos(directions).mean(axis=1), np.sin(directions).mean(axis=1))[:, None]
    return [(x[rows], reach[rows]) for rows in (slice(0, 512), slice(512, 640), slice(640, 768))]


def network(config):
    """Return the network that a configuration describes, not yet compiled."""
    layers = [keras.Input((8,))]
    for _ in range(config["layers"]):
        layers.append(keras.layers.Dense(config["units"]))
        if config["regularizer"] == "batchnorm":
            layers.append(keras.layers.BatchNormalization())
        layers.append(keras.layers.Activation(config["activation"]))
        if config["regularizer"] == "dropout":
            layers.append(keras.layers.Dropout(config["dropout"]))
    return keras.Sequential([*layers, keras.layers.Dense(1)])


def optimizer(config, steps):
    """Return the optimizer; ``steps`` is how many there will be, at whose end a cosine reaches zero."""
    rate = config["learning_rate"]
    if config["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    kinds = {
        "adam": keras.optimizers.Adam,
        "nadam": keras.optimizers.Nadam,
        "adamax": keras.optimizers.Adamax,
        "rmsprop": keras.optimizers.RMSprop,
    }
    return kinds[config["optimizer"]](rate)


class TestError(keras.callbacks.Callback):
    """Adds the root mean squared error on the test rows to an epoch's metrics; nothing is chosen by it."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def on_epoch_end(self, epoch, logs=None):
        """Compute it; the callbacks behind this one find it among the metrics."""
        predicted = keras.ops.convert_to_numpy(self.model(self.x, training=False))
        logs["test_rmse"] = float(np.sqrt(np.mean((predicted - self.y) ** 2)))


def train(config, ctx, parts):
    """Train for all epochs; return the lowest validation error, and the test error of that epoch."""
    keras.utils.set_random_seed(ctx.seed)
    keras.backend.clear_session()
    (x, y), validation, test = parts
    steps = math.ceil(len(x) / config["batch_size"])
    model = network(config)
    model.compile(
        optimizer(config, steps * ctx.budget),
        loss=config["loss"],
        metrics=[keras.metrics.RootMeanSquaredError(name="rmse")],
        # Steps of a network so small take less time than going back to Python after each; PyTorch has to.
        steps_per_execution=1 if keras.backend.backend() == "torch" else steps,
        jit_compile=False,
    )
    checkpoint = Checkpoint(ctx)
    model.fit(
        x,
        y,
        validation_data=validation,
        validation_batch_size=len(validation[0]),
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[
            TestError(*test),
            keras.callbacks.TerminateOnNaN(),
            checkpoint,
            Report(ctx),
            *requested(ctx),
        ],
        verbose=0,
    )
    errors = zip(checkpoint.history["val_rmse"], checkpoint.history["test_rmse"], strict=True)
    val_rmse, test_rmse = min(errors)
    return {"val_rmse": val_rmse, "test_rmse": test_rmse}


def run(config, ctx):
    """Train on kin8nm."""
    return train(config, ctx, data())


def run_stand_in(config, ctx):
    """Train on the computed arm."""
    return train(config, ctx, generated())


space = Space(
    [
        Float("learning_rate", 3e-4, 3e-2, log=True),
        Categorical("schedule", ["constant", "cosine"]),
        Categorical("optimizer", ["adam", "nadam", "adamax", "rmsprop"]),
        Categorical("loss", ["mean_squared_error", "mean_absolute_error"]),
        Ordinal("batch_size", [64, 128, 256, 512]),
        Integer("layers", 1, 4),
        Integer("units", 8, 256, log=True),
        Categorical("activation", ["relu", "tanh", "sigmoid", "silu"]),
        Categorical("regularizer", ["none", "dropout", "batchnorm"]),
        Float("dropout", 0.05, 0.5, when={"regularizer": "dropout"}),
    ]
)
problem = Problem(space, run, "val_rmse", "minimize", fidelity=Fidelity("epoch", EPOCHS), resumable=True)
stand_in = Problem(
    space,
    run_stand_in,
    "val_rmse",
    "minimize",
    fidelity=Fidelity("epoch", 3),
    resumable=True,
    name="kin8nm_stand_in",
)
