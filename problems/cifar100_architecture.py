"""CIFAR-100 with a network whose architecture is searched for: 22 parameters, three of which switch others.

The space and the network are those of Vooban's Hyperopt-Keras-CNN-CIFAR-100 (2017): blocks of a convolution,
residual units and one of four kinds of pooling, then one or two dense layers, and two heads, for the 100 fine
labels and for the 20 coarse ones.  The parameters have the names that they had there, where they were 19: a
switch and what it switches on, such as ``one_more_fc`` and ``fc_units_2_mult``, were one.  The objective is
the same, the best validation accuracy of the fine labels; the best of 42 trainings there had 67.61 %.

What differs:

* The validation images are 5,000 of the training images; there they were the test images.
* The heads are softmax; there they were sigmoid, under a loss for probabilities that sum to one.
* Images are flipped in training only; there in validation too.
* What has no effect without residual units is a parameter only with them; they begin in a block that exists.
* A training whose loss is not a number ends at once.

``stand_in`` trains the same networks on two dozen images computed here.
"""

import os
from functools import cache

from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

from deephpo.keras import Checkpoint, Report
from deephpo.keras.data import downloaded
from deephpo.keras.tensorboard import requested

EPOCHS = 100
URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"


def load():
    """Return images (n, 32, 32, 3) of bytes and both kinds of labels, as Keras downloads them."""
    (x, fine), _ = keras.datasets.cifar100.load_data("fine")
    (_, coarse), _ = keras.datasets.cifar100.load_data("coarse")
    return {"x": x, "fine": fine, "coarse": coarse}


@cache
def data():
    """Return x and y of 45,000 images to train and of 5,000 to validate; y holds fine and coarse labels."""
    from sklearn.model_selection import train_test_split

    arrays = downloaded("cifar100", load, URL, "cifar-100-python-target_archive")
    fine = arrays["fine"]
    parts = train_test_split(np.arange(len(fine)), test_size=5000, random_state=0, stratify=fine)
    return [(arrays["x"][part], {"fine": fine[part], "coarse": arrays["coarse"][part]}) for part in parts]


@cache
def generated():
    """Return the same for 16 and 8 images: a colour for each coarse label, and noise."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 100, (24, 1))
    coarse = fine // 5
    colours = rng.integers(0, 200, (20, 1, 1, 3))
    x = (colours[coarse[:, 0]] + rng.integers(0, 56, (24, 32, 32, 3))).astype("uint8")
    return [(x[rows], {"fine": fine[rows], "coarse": coarse[rows]}) for rows in (slice(16), slice(16, 24))]


def network(config):
    """Return the network that a configuration describes, not yet compiled; it takes bytes as numbers."""
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255, offset=-0.5)(image)
    x = layers.RandomFlip("horizontal")(x)
    if config["first_conv"]:
        x = convolution(config, 16, config["first_conv_size"])(x)
    for block in range(config["nb_conv_pool_layers"]):
        filters = round(40 * config["conv_hiddn_units_mult"]) * 2**block
        x = convolution(config, filters, config["conv_kernel_size"])(x)
        x = normalised(config, x)
        if config["residual"] and block >= config["conv_pool_res_start_idx"]:
            for _ in range(config["residual_units"]):
                x = residual_unit(config, x, filters)
        x = pooled(config, x, filters)
        x = layers.Dropout(config["conv_dropout_drop_proba"])(x)
    x = layers.Flatten()(x)
    x = dense(config, round(1000 * config["fc_units_1_mult"]))(x)
    x = layers.Dropout(config["fc_dropout_drop_proba"])(x)
    if config["one_more_fc"]:
        x = dense(config, round(750 * config["fc_units_2_mult"]))(x)
        x = layers.Dropout(config["fc_dropout_drop_proba"])(x)
    heads = {
        name: layers.Dense(labels, "softmax", kernel_regularizer=decay(config), name=name)(x)
        for name, labels in (("fine", 100), ("coarse", 20))
    }
    return keras.Model(image, heads)


def residual_unit(config, x, filters):
    """Return a linear 1 x 1 convolution of x plus a convolution of what dropout leaves of it."""
    straight = convolution(config, filters, 1, activation="linear")(x)
    bent = layers.Dropout(config["conv_dropout_drop_proba"])(x)
    bent = convolution(config, filters, config["res_conv_kernel_size"])(bent)
    return normalised(config, layers.Add()([straight, bent]))


def pooled(config, x, filters):
    """Return x at half of its height and width."""
    match config["pooling_type"]:
        case "max":
            return layers.MaxPooling2D(2, padding="same")(x)
        case "avg":
            return layers.AveragePooling2D(2, padding="same")(x)
        case "all_conv":
            return convolution(config, filters, 3, strides=2, activation="linear")(x)
        case "inception":
            return inception_reduction(config, x, filters)


def inception_reduction(config, x, filters):
    """Return three ways to halve x beside each other: pooling, one convolution, and three convolutions."""
    few, more = round(0.33 * filters) + 1, round(0.4 * filters) + 1
    longest = convolution(config, few, 1)(x)
    longest = convolution(config, more, 3)(longest)
    ways = [
        layers.MaxPooling2D(3, strides=2, padding="same")(x),
        convolution(config, more, 3, strides=2)(x),
        convolution(config, more, 3, strides=2)(longest),
    ]
    return normalised(config, layers.Concatenate()(ways))


def convolution(config, filters, kernel, strides=1, activation=None):
    """Return a convolution with the configuration's activation, unless another one is given."""
    return layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        activation=activation or config["activation"],
        kernel_regularizer=decay(config),
    )


def dense(config, units):
    """Return a dense layer with the configuration's activation."""
    return layers.Dense(units, config["activation"], kernel_regularizer=decay(config))


def decay(config):
    """Return the penalty on a layer's weights."""
    return keras.regularizers.L2(0.0007 * config["l2_weight_reg_mult"])


def normalised(config, x):
    """Return x after batch normalisation, if the configuration wants it."""
    return layers.BatchNormalization()(x) if config["use_BN"] else x


def compiled(config, eager=False):
    """Return the network with its optimizer and the losses of its two heads."""
    kinds = {
        "Adam": keras.optimizers.Adam,
        "Nadam": keras.optimizers.Nadam,
        "RMSprop": keras.optimizers.RMSprop,
    }
    model = network(config)
    model.compile(
        kinds[config["optimizer"]](0.001 * config["lr_rate_mult"]),
        loss={"fine": "sparse_categorical_crossentropy", "coarse": "sparse_categorical_crossentropy"},
        loss_weights={"fine": 1.0, "coarse": config["coarse_labels_weight"]},
        metrics={"fine": ["accuracy"], "coarse": ["accuracy"]},
        run_eagerly=eager,
    )
    return model


def train(config, ctx, parts, eager=False):
    """Train for all epochs; return the best accuracy of the fine labels, and that of the coarse ones then."""
    keras.utils.set_random_seed(ctx.seed)
    keras.backend.clear_session()
    (x, y), validation = parts
    checkpoint = Checkpoint(ctx)
    compiled(config, eager).fit(
        x,
        y,
        validation_data=validation,
        epochs=ctx.budget,
        batch_size=config["batch_size"],
        callbacks=[keras.callbacks.TerminateOnNaN(), checkpoint, Report(ctx), *requested(ctx)],
        verbose=0,
    )
    fine, coarse = (checkpoint.history[f"val_{head}_accuracy"] for head in ("fine", "coarse"))
    best, beside = max(zip(fine, coarse, strict=True))
    return {"val_fine_accuracy": best, "val_coarse_accuracy": beside}


def run(config, ctx):
    """Train on CIFAR-100."""
    return train(config, ctx, data())


def run_stand_in(config, ctx):
    """Train on the computed images, whose few steps take less time than Keras needs to compile one."""
    return train(config, ctx, generated(), eager=True)


def multiplier(name, width, when=None):
    """Return a factor from e^-width to e^width."""
    return Float(name, round(float(np.exp(-width)), 6), round(float(np.exp(width)), 6), log=True, when=when)


space = Space(
    [
        multiplier("lr_rate_mult", 0.5),
        multiplier("l2_weight_reg_mult", 1.3),
        Integer("batch_size", 100, 450, step=5),
        Categorical("optimizer", ["Adam", "Nadam", "RMSprop"]),
        Float("coarse_labels_weight", 0.1, 0.7),
        Float("conv_dropout_drop_proba", 0.0, 0.35),
        Float("fc_dropout_drop_proba", 0.0, 0.6),
        Categorical("use_BN", [False, True]),
        Categorical("first_conv", [False, True]),
        Integer("first_conv_size", 3, 4, when={"first_conv": True}),
        Categorical("residual", [False, True]),
        Integer("residual_units", 1, 4, when={"residual": True}),
        multiplier("conv_hiddn_units_mult", 0.6),
        Integer("nb_conv_pool_layers", 2, 3),
        Integer("conv_pool_res_start_idx", 0, 2, when={"residual": True}),
        Categorical("pooling_type", ["max", "avg", "all_conv", "inception"]),
        Integer("conv_kernel_size", 2, 4),
        Integer("res_conv_kernel_size", 2, 4, when={"residual": True}),
        multiplier("fc_units_1_mult", 0.6),
        Categorical("one_more_fc", [False, True]),
        multiplier("fc_units_2_mult", 0.6, when={"one_more_fc": True}),
        Categorical("activation", ["relu", "elu"]),
    ],
    forbidden=[{"nb_conv_pool_layers": 2, "conv_pool_res_start_idx": 2}],
)
objective = {"objective": "val_fine_accuracy", "direction": "maximize", "resumable": True}
problem = Problem(space, run, fidelity=Fidelity("epoch", EPOCHS), **objective)
stand_in = Problem(
    space, run_stand_in, fidelity=Fidelity("epoch", 2), name="cifar100_architecture_stand_in", **objective
)

if __name__ == "__main__":
    data()  # downloads it
