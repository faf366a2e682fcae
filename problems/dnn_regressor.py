"""A feed-forward network for regression: the Regressor of NHOP, with the task that NHOP made up for it.

10,000 rows of four normal variables x, and y = cos(1 / (|x c| + 0.75)) with a hidden normal c; four fifths to
train, the rest to validate.  The objective is the mean squared error on the latter, the lowest of all epochs.
What differs from the original:

- a trial's value was the loss of its last batch, and so of luck; here it is that of rows never trained on;
- weights began at N(0, 1), with which nine layers explode; here they begin as Keras has them;
- the learning rate has a logarithmic scale, and so has the batch size.

``dnn_regressor.py:stand_in`` is the same search over the same network on the 442 diabetes patients that come
with scikit-learn (B. Efron et al., 2004).
"""

import os
from functools import cache

from deephpo import Between, Categorical, Fidelity, Float, Integer, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from deephpo.keras import Checkpoint, Report
from deephpo.keras.tensorboard import requested

EPOCHS = 100
MOST_LAYERS = 9


@cache
def cosine():
    """Return the made-up task: x of shape (n, 4) and y (n,) to train, then to validate."""
    rng = np.random.default_rng(0)
    x = 2.0 * rng.standard_normal((10_000, 4))
    y = np.cos(1.0 / (np.abs(x @ rng.standard_normal(4)) + 0.75))
    return split(x, y)


@cache
def diabetes():
    """Return ten measurements of each patient and the disease's progression, standardised."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return split(x, (y - y.mean()) / y.std())


def split(x, y):
    """Return four fifths to train and one to validate, the variables standardised by the former."""
    first = len(x) * 4 // 5
    x = (x - x[:first].mean(axis=0)) / x[:first].std(axis=0)
    return x[:first], y[:first], x[first:], y[first:]


def network(config, variables=4):
    """Return the compiled network that a configuration describes, for rows of so many variables."""
    model = keras.Sequential([keras.Input((variables,))])
    for layer in range(1, config["layers"] + 1):
        model.add(keras.layers.Dense(config[f"units_{layer}"], activation=config["activation"]))
    model.add(keras.layers.Dense(1))
    optimizer = keras.optimizers.get(config["optimizer"])
    optimizer.learning_rate = config["learning_rate"]
    model.compile(optimizer, loss="mean_squared_error")
    return model


def train(config, ctx, data):
    """Train, report after each epoch; return the lowest validation error."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(ctx.seed)
    x_train, y_train, x_valid, y_valid = data
    checkpoint = Checkpoint(ctx)
    network(config, x_train.shape[1]).fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[checkpoint, Report(ctx), *requested(ctx)],
        verbose=0,
    )
    return {"val_loss": min(checkpoint.history["val_loss"])}


def run(config, ctx):
    """Train on the made-up task."""
    return train(config, ctx, cosine())


def run_stand_in(config, ctx):
    """Train on the patients."""
    return train(config, ctx, diabetes())


space = Space(
    [
        Integer("layers", 4, MOST_LAYERS),
        *(Integer(f"units_{n}", 4, 9, when={"layers": Between(low=n)}) for n in range(1, MOST_LAYERS + 1)),
        Integer("batch_size", 100, 1999, log=True),
        Float("learning_rate", 1e-4, 1e-3, log=True),
        Categorical("activation", ["relu", "tanh"]),
        Categorical("optimizer", ["adam", "sgd", "adagrad"]),
    ]
)
problem = Problem(space, run, "val_loss", "minimize", fidelity=Fidelity("epoch", EPOCHS), resumable=True)
stand_in = Problem(
    space,
    run_stand_in,
    "val_loss",
    "minimize",
    fidelity=Fidelity("epoch", 5),
    resumable=True,
    name="dnn_regressor_stand_in",
)
