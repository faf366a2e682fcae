"""Handwritten digits with a small neural network of scikit-learn: real data, seconds a trial, no GPU.

The 1,797 images of 8 x 8 pixels come with scikit-learn (E. Alpaydin, C. Kaynak, 1998).  The objective is the
error on a validation third that the network never trains on, the lowest of all epochs.
"""

import warnings
from functools import cache

from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space

EPOCHS = 30


@cache
def data():
    """Return the training and validation parts: x, y, x, y."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(
        x / 16.0, y, test_size=1 / 3, random_state=0, stratify=y
    )
    return x_train, y_train, x_valid, y_valid


def network(config, seed):
    """Return the untrained network that a configuration describes."""
    from sklearn.neural_network import MLPClassifier

    layers = [config["units_1"]]
    if config["layers"] == 2:
        layers.append(config["units_2"])
    return MLPClassifier(
        hidden_layer_sizes=layers,
        activation=config["activation"],
        solver=config["optimizer"],
        learning_rate_init=config["learning_rate"],
        momentum=config.get("momentum", 0.9),
        alpha=config["weight_decay"],
        batch_size=config["batch_size"],
        random_state=seed,
    )


def run(config, ctx):
    """Train for all epochs, report the validation error after each, return the lowest."""
    x_train, y_train, x_valid, y_valid = data()
    model = network(config, ctx.seed)
    classes = range(10)
    errors = []
    with warnings.catch_warnings():
        # Poor learning rates overflow; their validation error says all there is to say about it.
        warnings.simplefilter("ignore")
        for epoch in range(1, ctx.budget + 1):
            model.partial_fit(x_train, y_train, classes=classes)
            errors.append(1.0 - model.score(x_valid, y_valid))
            ctx.report(epoch, val_error=errors[-1], train_loss=model.loss_)
    return {"val_error": min(errors), "train_loss": model.loss_}


problem = Problem(
    Space(
        [
            Float("learning_rate", 1e-5, 1.0, log=True),
            Categorical("optimizer", ["sgd", "adam"]),
            Float("momentum", 0.0, 0.99, when={"optimizer": ["sgd"]}),
            Integer("layers", 1, 2),
            Integer("units_1", 4, 128, log=True),
            Integer("units_2", 4, 128, log=True, when={"layers": [2]}),
            Categorical("activation", ["relu", "tanh", "logistic"]),
            Float("weight_decay", 1e-6, 1.0, log=True),
            Integer("batch_size", 16, 256, log=True),
        ]
    ),
    run,
    objective="val_error",
    direction="minimize",
    fidelity=Fidelity("epoch", EPOCHS),
)
