"""A small convolutional network on CIFAR-10: DeepHyper's cifar10cnn (P. Balaprakash et al., HiPC 2018).

Two blocks of two convolutions, pooling and dropout, then a dense layer.  The objective is the accuracy on the
last 30 % of the 50,000 training images, the highest of all epochs.  What differs from the original:

- it took the accuracy on the test images, which are left to the user here;
- the epochs, 5 to 500 there, are no parameter but the steps that a trial reports against;
- the learning rate, uniform from 1e-4 to 10 there, has a logarithmic scale, and so have the batch size and
  the number of units;
- dropout ends at 0.9: above, next to nothing is left to train.

``python cifar10_cnn.py`` downloads the images, 170 MB.  ``cifar10_cnn.py:stand_in`` is the same search over
the same network on generated pictures of coloured shapes.
"""

import os
from functools import cache

from deephpo import Categorical, Fidelity, Float, Integer, Ordinal, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from deephpo.keras import Checkpoint, Report
from deephpo.keras.data import downloaded
from deephpo.keras.tensorboard import requested

EPOCHS = 50


@cache
def cifar10():
    """Return images of shape (n, 32, 32, 3), 0 to 255, and classes: x, y to train and x, y to validate."""

    def load():
        (x, y), _ = keras.datasets.cifar10.load_data()
        return {"x": x, "y": y[:, 0]}

    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    data = downloaded("cifar10", load, url, "cifar-10-batches-py-target_archive")
    x, y = data["x"], data["y"]
    return x[:35_000], y[:35_000], x[35_000:], y[35_000:]


@cache
def shapes():
    """Return the same in small: squares and rings of five colours each, somewhere in noise."""
    rng = np.random.default_rng(0)
    colours = 255 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], "uint8")
    y = rng.integers(10, size=200)
    x = rng.integers(128, size=(len(y), 32, 32, 3), dtype="uint8")
    for image, label in zip(x, y, strict=True):
        top, left = rng.integers(0, 20, size=2)
        patch = image[top : top + 12, left : left + 12]
        inside = patch[3:9, 3:9].copy()
        patch[:] = colours[label % 5]
        if label >= 5:
            patch[3:9, 3:9] = inside
    return x[:150], y[:150], x[150:], y[150:]


def network(config, shape=(32, 32, 3)):
    """Return the compiled network that a configuration describes, for images of this shape, CIFAR-10's."""
    activation, layers = config["activation"], [keras.Input(shape), keras.layers.Rescaling(1 / 255)]
    for block in ("f1", "f2"):
        filters, size = config[f"{block}_units"], config[f"{block}_size"]
        layers += [
            keras.layers.Conv2D(filters, size, padding="same", activation=activation),
            keras.layers.Conv2D(filters, size, activation=activation),
            keras.layers.MaxPooling2D(config["p_size"], padding="same"),
            keras.layers.Dropout(config["dropout"]),
        ]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(config["nunits"], activation=activation),
        keras.layers.Dropout(config["dropout"]),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.get(config["optimizer"])
    optimizer.learning_rate = config["learning_rate"]
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(config, ctx, data):
    """Train, report after each epoch; return the highest validation accuracy."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(ctx.seed)
    x_train, y_train, x_valid, y_valid = data
    checkpoint = Checkpoint(ctx)
    network(config, x_train.shape[1:]).fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[checkpoint, Report(ctx), *requested(ctx)],
        verbose=0,
    )
    return {"val_accuracy": max(checkpoint.history["val_accuracy"])}


def run(config, ctx):
    """Train on CIFAR-10."""
    return train(config, ctx, cifar10())


def run_stand_in(config, ctx):
    """Train on the coloured shapes."""
    return train(config, ctx, shapes())


space = Space(
    [
        Ordinal("f1_size", [1, 3, 5, 7]),
        Ordinal("f2_size", [1, 3, 5, 7]),
        Ordinal("f1_units", [8, 16, 32, 64]),
        Ordinal("f2_units", [8, 16, 32, 64]),
        Integer("p_size", 2, 4),
        Integer("nunits", 1, 1000, log=True),
        Categorical("activation", ["relu", "elu", "selu", "tanh"]),
        Integer("batch_size", 8, 1024, log=True),
        Float("dropout", 0.0, 0.9),
        Categorical("optimizer", ["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam"]),
        Float("learning_rate", 1e-4, 10.0, log=True),
    ]
)
problem = Problem(space, run, "val_accuracy", "maximize", fidelity=Fidelity("epoch", EPOCHS), resumable=True)
stand_in = Problem(
    space,
    run_stand_in,
    "val_accuracy",
    "maximize",
    fidelity=Fidelity("epoch", 3),
    resumable=True,
    name="cifar10_cnn_stand_in",
)

if __name__ == "__main__":
    cifar10()
