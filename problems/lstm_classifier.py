"""Which package of Python's standard library is a piece of source code from?  Stacked LSTMs in Keras 3.

After the classifier of source files in NHOP (2017), which had to be given folders of them.  Here they are
those of the Python that runs this, so the data differ a little from one version to the next.  A piece is 40
tokens from anywhere in a file, about four lines.  Pieces to validate come from the last quarter of each file,
pieces to train from what is before it.

``stand_in`` trains the same networks on fewer and shorter pieces.
"""

import os
import re
import sysconfig
from collections import Counter
from functools import cache
from pathlib import Path

from deephpo import Categorical, Fidelity, Float, Integer, Ordinal, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

from deephpo.keras import Checkpoint, Report
from deephpo.keras.tensorboard import requested

EPOCHS = 20
PACKAGES = ["asyncio", "email", "http", "importlib", "multiprocessing", "unittest", "urllib", "xml"]


VOCABULARY = 2000
"""So many tokens have a number of their own, the most frequent ones; all others are 0."""


@cache
def sources(package):
    """Return the tokens of the first three quarters of all files of a package, and of their last quarters."""
    library = Path(sysconfig.get_path("stdlib"))
    files = [
        re.findall(r"\w+|[^\w\s]", path.read_text("utf-8", "replace"))
        for path in sorted((library / package).rglob("*.py"))
    ]
    early = [token for tokens in files for token in tokens[: 3 * len(tokens) // 4]]
    late = [token for tokens in files for token in tokens[3 * len(tokens) // 4 :]]
    return early, late


@cache
def vocabulary():
    """Return the numbers of the most frequent tokens in what is trained on, from 1 on."""
    counts = Counter(token for package in PACKAGES for token in sources(package)[0])
    return {token: number for number, (token, _) in enumerate(counts.most_common(VOCABULARY - 1), start=1)}


@cache
def data(training=2048, validation=256, length=40):
    """Return x and y to train and to validate, so many pieces of each package, from places drawn once."""
    rng = np.random.default_rng(0)
    parts = []
    for part, pieces in enumerate((training, validation)):
        x = []
        for package in PACKAGES:
            numbers = np.array([vocabulary().get(token, 0) for token in sources(package)[part]])
            begins = rng.integers(0, len(numbers) - length, (pieces, 1))
            x.append(numbers[begins + np.arange(length)])
        parts.append((np.concatenate(x), np.repeat(np.arange(len(PACKAGES)), pieces)))
    return parts


def network(config):
    """Return the network that a configuration describes, not yet compiled."""
    model = keras.Sequential([keras.Input((None,)), layers.Embedding(VOCABULARY, config["embedding"])])
    for layer in range(config["layers"]):
        lstm = layers.LSTM(config["units"], return_sequences=layer < config["layers"] - 1)
        model.add(layers.Bidirectional(lstm) if config["bidirectional"] else lstm)
        model.add(layers.Dropout(config["dropout"]))
    model.add(layers.Dense(len(PACKAGES), "softmax"))
    return model


def train(config, ctx, parts, eager=False):
    """Train for all epochs; return the best validation accuracy."""
    keras.utils.set_random_seed(ctx.seed)
    keras.backend.clear_session()
    (x, y), validation = parts
    model = network(config)
    model.compile(
        keras.optimizers.Adam(config["learning_rate"], clipnorm=config["clipnorm"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=eager,
    )
    checkpoint = Checkpoint(ctx)
    model.fit(
        x,
        y,
        validation_data=validation,
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[keras.callbacks.TerminateOnNaN(), checkpoint, Report(ctx), *requested(ctx)],
        verbose=0,
    )
    return {"val_accuracy": max(checkpoint.history["val_accuracy"])}


def run(config, ctx):
    """Train on 16,384 pieces, validate on 2,048."""
    return train(config, ctx, data())


def run_stand_in(config, ctx):
    """Train on 64 short pieces, whose few steps take less time than Keras needs to compile one."""
    return train(config, ctx, data(training=8, validation=4, length=8), eager=True)


space = Space(
    [
        Float("learning_rate", 3e-4, 3e-2, log=True),
        Float("clipnorm", 0.1, 10.0, log=True),
        Ordinal("batch_size", [32, 64, 128, 256]),
        Integer("embedding", 4, 64, log=True),
        Integer("layers", 1, 3),
        Integer("units", 16, 128, log=True),
        Categorical("bidirectional", [False, True]),
        Float("dropout", 0.0, 0.5),
    ]
)
objective = {"objective": "val_accuracy", "direction": "maximize", "resumable": True}
problem = Problem(space, run, fidelity=Fidelity("epoch", EPOCHS), **objective)
stand_in = Problem(
    space, run_stand_in, fidelity=Fidelity("epoch", 2), name="lstm_classifier_stand_in", **objective
)
