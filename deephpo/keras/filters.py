"""Pictures of what the convolutions of a trained network look for.

    python -m deephpo.keras.filters RUN/best/network.keras [--layer NAME] [--low 0 --high 255]

reads a saved network, such as :mod:`deephpo.keras.retraining` leaves, and writes beside it

    filters/weights-NAME.png    the weights of the first convolution, a square for each filter
    filters/maximal-NAME.png    of a layer, by default the last convolution: for each of its filters the image
                                that excites it most, found by gradient ascent from grey noise

The images have the size of the network's input.  Its pixels are between low and high: 0 and 255 for a network
that scales bytes itself, by a layer for that, else 0 and 1.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from deephpo.errors import OptionError, unknown_name
from deephpo.keras.canvas import canvas, save
from deephpo.keras.command import answer

MOST_FILTERS = 64
"""Of a layer that has more, the first ones are looked at."""
STEPS = 40
_STEP = 0.02
"""By so much a step of the ascent changes pixels, root mean square, as a share of their range."""


def convolutions(model: Any) -> list[Any]:
    """Return the two-dimensional convolutions of a Keras model, from the input on."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def weights_of(layer: Any) -> NDArray[np.float32]:
    """Return the filters of a convolution as images, (filters, height, width, channels)."""
    kernel = ops.convert_to_numpy(layer.kernel)
    return np.asarray(np.moveaxis(kernel, -1, 0)[:MOST_FILTERS])


def maximal_images(
    model: Any, layer: Any, low: float = 0.0, high: float = 1.0, steps: int = STEPS, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each filter of a layer the image that excites it most, and how much it does.

    The images, (filters, height, width, channels), begin as grey noise and follow the gradient of the mean
    activation of the filter, dropout and the like being off; the mean activations are (filters,).  The most
    exciting come first.  It works on every backend: the images are the weights of a model that is fitted.
    """
    rng = np.random.default_rng(seed)
    count = min(MOST_FILTERS, layer.output.shape[-1])
    shape = (count, *model.inputs[0].shape[1:])
    grey = (low + high) / 2 + 0.1 * (high - low) * rng.standard_normal(shape)
    ascent = _Ascent(keras.Model(model.inputs, layer.output), grey.astype("float32"), low, high)
    ascent.compile(
        _Steps(_STEP * (high - low), name="steps"), loss=lambda _, activations: -ops.sum(activations)
    )
    which = np.arange(count)[:, None]
    ascent.fit(which, which, batch_size=count, epochs=steps, shuffle=False, verbose=0)
    activations = ops.convert_to_numpy(ascent(which))[:, 0]
    order = np.argsort(-activations)
    return ops.convert_to_numpy(ascent.images.value)[order], activations[order]


class _Ascent(keras.Model):  # type: ignore[misc]  # mypy does not follow keras
    """Its weights are the images; it returns the mean activation of each image's own filter, (filters, 1)."""

    def __init__(self, extractor: Any, images: NDArray[np.float32], low: float, high: float) -> None:
        super().__init__(name="ascent")
        extractor.trainable = False
        self.extractor = extractor
        self.images = self.add_weight(
            shape=images.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(images, dtype),
            constraint=lambda pixels: ops.clip(pixels, low, high),
            name="images",
        )

    def call(self, which: Any) -> Any:
        activations = self.extractor(self.images, training=False)
        means = ops.mean(activations, axis=tuple(range(1, activations.ndim - 1)))
        return ops.take_along_axis(means, ops.cast(which, "int32"), axis=-1)


class _Steps(keras.optimizers.SGD):  # type: ignore[misc]
    """Changes every image by the same, however steep its ascent is."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        each = tuple(range(1, gradient.ndim))
        size = ops.sqrt(ops.mean(ops.square(gradient), axis=each, keepdims=True))
        super().update_step(gradient / (size + 1e-12), variable, learning_rate)


def tile(images: NDArray[np.float32], path: Path, title: str) -> None:
    """Write images, (n, height, width, channels), as one PNG, each stretched over its own range of values.

    With three channels they are colours, else the mean over the channels is grey.  Raises
    MissingPackageError without matplotlib.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    figure = canvas("filters", max(4.0, 0.9 * columns), 0.9 * rows + 0.5, layout="constrained")
    figure.suptitle(title, fontsize=9, parse_math=False)
    for axes in np.ravel(figure.subplots(rows, columns, squeeze=False)):
        axes.set_axis_off()
    for axes, image in zip(figure.axes, images, strict=False):
        shown = image if image.shape[-1] == 3 else image.mean(axis=-1)
        span = float(np.ptp(shown)) or 1.0
        axes.imshow((shown - shown.min()) / span, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
    save(figure, path, dpi=130)


def draw(network: Path, name: str | None = None, low: float = 0.0, high: float | None = None) -> list[Path]:
    """Write both pictures beside a saved network, and return where they are.

    low, high: the range of a pixel; None: up to 255 if the network scales bytes, else up to 1.  Raises
    OptionError if the file is no network, has no convolutions, or has no layer of the name.
    """
    model = _load(network)
    found = convolutions(model)
    if not found:
        raise OptionError(
            f"The network {network} has no two-dimensional convolution, so there is no picture."
        )
    known = [layer.name for layer in found]
    if name is not None and name not in known:
        raise OptionError(unknown_name("convolution", name, known))
    chosen = model.get_layer(name) if name else found[-1]
    directory = network.parent / "filters"
    first, maximal = directory / f"weights-{known[0]}.png", directory / f"maximal-{chosen.name}.png"
    tile(weights_of(found[0]), first, f"weights of {known[0]}")
    high = _largest_pixel(model) if high is None else high
    images, activations = maximal_images(model, chosen, low, high)
    span = f"mean activations {activations[-1]:.3g} to {activations[0]:.3g}, pixels {low:g} to {high:g}"
    tile(images, maximal, f"what excites the filters of {chosen.name} most: {span}")
    return [first, maximal]


def _largest_pixel(model: Any) -> float:
    """Return 255 for a network that scales bytes by its own layer, as all here do; else 1."""
    return 255.0 if any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers) else 1.0


def _load(network: Path) -> Any:
    try:
        return keras.models.load_model(network, compile=False)
    except (OSError, ValueError) as error:
        raise OptionError(f"{network} cannot be read as a Keras network: {error}") from None


def main(words: Sequence[str] | None = None) -> int:
    """Draw the filters of a saved Keras network, and what excites them."""
    parser = argparse.ArgumentParser(prog="python -m deephpo.keras.filters", description=main.__doc__)
    parser.add_argument("network", metavar="NETWORK.keras", type=Path, help="as retraining has left it")
    parser.add_argument("--layer", metavar="NAME", help="a convolution (default: the last one)")
    parser.add_argument("--low", type=float, default=0.0, help="the least value of a pixel (default 0)")
    parser.add_argument(
        "--high", type=float, help="the largest one (default: 255 if the network scales bytes itself, else 1)"
    )
    given = parser.parse_args(words)
    return answer(lambda: "\n".join(map(str, draw(given.network, given.layer, given.low, given.high))))


if __name__ == "__main__":
    sys.exit(main())
