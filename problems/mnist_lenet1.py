"""LeNet on MNIST with nine parameters: the flagship benchmark of DEEP-BO (H. Cho et al., IEEE Access 2020).

Two convolutions, each with max pooling, a dense layer with L2 regularisation, dropout before and behind it;
Adam, batches of 64, 15 epochs.  The objective is the error on the last 5,000 of the 60,000 training images,
the lowest of all epochs; the test images are for the user, afterwards.

``python mnist_lenet1.py`` downloads the images, 11 MB.  ``mnist_lenet1.py:stand_in`` is the same search over
the same network on the 8 x 8 digits that come with scikit-learn.
"""

import os
from functools import cache

from deephpo import Fidelity, Float, Integer, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from deephpo.keras import Checkpoint, Report
from deephpo.keras.data import downloaded
from deephpo.keras.tensorboard import requested

EPOCHS = 15
BATCH_SIZE = 64


@cache
def mnist():
    """Return images of shape (n, 28, 28, 1), 0 to 255, and digits: x, y to train and x, y to validate."""

    def load():
        (x, y), _ = keras.datasets.mnist.load_data()
        return {"x": x, "y": y}

    url = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
    data = downloaded("mnist", load, url, "mnist.npz")
    x, y = data["x"][..., None], data["y"]
    return x[:55_000], y[:55_000], x[55_000:], y[55_000:]


@cache
def digits():
    """Return the same in small, from scikit-learn: 300 images of shape (8, 8, 1) and 100."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (255 / 16 * x).reshape(-1, 8, 8, 1).astype("uint8")
    return x[:300], y[:300], x[300:400], y[300:400]


def network(config, shape=(28, 28, 1)):
    """Return the compiled network that a configuration describes, for images of this shape, MNIST's."""
    window, dropped = config["window_size"], 1.0 - config["keep_prop_rate"]
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(config["c1_depth"], window, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(config["p1_size"], padding="same"),
            keras.layers.Conv2D(config["c2_depth"], window, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(config["p2_size"], padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropped),
            keras.layers.Dense(
                config["f1_width"],
                activation="relu",
                kernel_regularizer=keras.regularizers.L2(config["reg_param"]),
            ),
            keras.layers.Dropout(dropped),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(config["learning_rate"])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=[error])
    return model


def error(y, predicted):
    """Return 1 for an image that is taken for another digit, else 0; Keras reports the means."""
    return 1.0 - keras.metrics.sparse_categorical_accuracy(y, predicted)


def train(config, ctx, data):
    """Train, report after each epoch; return the lowest validation error."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(ctx.seed)
    x_train, y_train, x_valid, y_valid = data
    checkpoint = Checkpoint(ctx)
    network(config, x_train.shape[1:]).fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=ctx.budget,
        batch_size=BATCH_SIZE,
        callbacks=[checkpoint, Report(ctx), *requested(ctx)],
        verbose=0,
    )
    return {"val_error": min(checkpoint.history["val_error"])}


def run(config, ctx):
    """Train on MNIST."""
    return train(config, ctx, mnist())


def run_stand_in(config, ctx):
    """Train on the small digits."""
    return train(config, ctx, digits())


space = Space(
    [
        Integer("c1_depth", 1, 350),
        Integer("p1_size", 2, 3),
        Integer("c2_depth", 1, 350),
        Integer("p2_size", 2, 3),
        Integer("window_size", 2, 10),
        Integer("f1_width", 1, 1024),
        Float("learning_rate", 10**-4, 10**-0.5, log=True),
        Float("reg_param", 0.0, 1.0),
        Float("keep_prop_rate", 0.1, 1.0),
    ]
)
problem = Problem(space, run, "val_error", "minimize", fidelity=Fidelity("epoch", EPOCHS), resumable=True)
stand_in = Problem(
    space,
    run_stand_in,
    "val_error",
    "minimize",
    fidelity=Fidelity("epoch", 3),
    resumable=True,
    name="mnist_lenet1_stand_in",
)

if __name__ == "__main__":
    mnist()
