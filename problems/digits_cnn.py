"""Handwritten digits with a small convolutional network in Keras 3 on TensorFlow, on one rank or several.

The same 1,797 images of 8 x 8 pixels as digits_mlp, which come with scikit-learn, and the same split.  With
``--ranks-per-trial 2`` two ranks train one network together, which needs Horovod; each takes half of a batch.
"""

import os
from contextlib import nullcontext
from functools import cache

from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from deephpo.keras import Checkpoint, Report, Shard, Together, distribute
from deephpo.keras.tensorboard import requested

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


def error(y_true, y_pred):
    """Return the share of wrong answers; on the validation images Keras calls it val_error."""
    return 1.0 - keras.metrics.sparse_categorical_accuracy(y_true, y_pred)


def network(config):
    """Return the untrained network that a configuration describes."""
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
    return keras.Sequential(layers)


def run(config, ctx):
    """Train for all epochs, report the validation error after each, return the lowest."""
    keras.utils.set_random_seed(ctx.seed + ctx.rank)
    keras.backend.clear_session()
    x_train, y_train, x_valid, y_valid = data()
    optimizer = keras.optimizers.get(config["optimizer"])
    optimizer.learning_rate = config["learning_rate"]
    with ctx.horovod() if ctx.size > 1 else nullcontext() as hvd:
        model = network(config)
        model.compile(
            distribute(optimizer, hvd),
            loss="sparse_categorical_crossentropy",
            metrics=[error],
            jit_compile=False,
        )
        shard = Shard(x_train, y_train, config["batch_size"] // ctx.size, ctx)
        checkpoint = Checkpoint(ctx, hvd, shard)
        model.fit(
            shard,
            validation_data=(x_valid, y_valid),
            epochs=ctx.budget,
            shuffle=False,  # the shard's rows are in another order in each epoch
            callbacks=[Together(ctx, hvd), checkpoint, Report(ctx), *requested(ctx)],
            verbose=0,
        )
    return {"val_error": min(checkpoint.history["val_error"])}


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
    resumable=True,
)
