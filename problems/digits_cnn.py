"""Handwritten digits with a small convolutional network in Keras 3 on TensorFlow.

The same 1,797 images of 8 x 8 pixels as digits_mlp, which come with scikit-learn, and the same split.
"""

import os
from functools import cache

from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

EPOCHS = 10


@cache
def data():
    """Return the training and validation parts: x, y, x, y; images of shape (n, 8, 8, 1)."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    images = (x / 16.0).reshape(-1, 8, 8, 1).astype("float32")
    x_train, x_valid, y_train, y_valid = train_test_split(
        images, y, test_size=1 / 3, random_state=0, stratify=y
    )
    return x_train, y_train, x_valid, y_valid


def network(config):
    """Return the compiled network that a configuration describes."""
    layers = [keras.Input((8, 8, 1))]
    for block in range(config["blocks"]):
        filters = config["filters"] * 2**block
        layers.append(keras.layers.Conv2D(filters, config["kernel"], padding="same", activation="relu"))
        if config["pooling"] != "none":
            layers.append(keras.layers.MaxPooling2D(2))
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dropout(config["dropout"]),
        keras.layers.Dense(config["units"], activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.get(config["optimizer"])
    optimizer.learning_rate = config["learning_rate"]
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run(config, ctx):
    """Train for all epochs, report the validation error after each, return the lowest."""
    keras.utils.set_random_seed(ctx.seed)
    keras.backend.clear_session()
    x_train, y_train, x_valid, y_valid = data()
    errors = []

    def report(epoch, logs):
        errors.append(1.0 - logs["val_accuracy"])
        ctx.report(epoch + 1, val_error=errors[-1], val_loss=logs["val_loss"], train_loss=logs["loss"])

    network(config).fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=report)],
        verbose=0,
    )
    return {"val_error": min(errors)}


problem = Problem(
    Space(
        [
            Float("learning_rate", 1e-4, 1e-1, log=True),
            Categorical("optimizer", ["sgd", "adam", "rmsprop"]),
            Integer("blocks", 1, 2),
            Integer("filters", 4, 32, log=True),
            Integer("kernel", 2, 4),
            Categorical("pooling", ["max", "none"]),
            Float("dropout", 0.0, 0.5, step=0.05),
            Integer("units", 8, 128, log=True),
            Integer("batch_size", 16, 128, log=True),
        ]
    ),
    run,
    objective="val_error",
    direction="minimize",
    fidelity=Fidelity("epoch", EPOCHS),
)
