import os

import numpy as np
import pytest
from matplotlib import image

from deephpo.errors import OptionError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras.filters import (  # noqa: E402
    _largest_pixel,
    convolutions,
    draw,
    main,
    maximal_images,
    tile,
    weights_of,
)


@pytest.fixture
def model():
    """A network whose first convolution has two filters, one for red and one for blue."""
    layers = keras.layers
    given = keras.Input((6, 6, 3))
    x = layers.RandomFlip()(given)
    x = layers.Conv2D(2, 3, padding="same", use_bias=False, name="colours")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)
    model = keras.Model(given, layers.Flatten()(x))
    kernel = np.zeros((3, 3, 3, 2), "float32")
    kernel[..., 0, 0] = kernel[..., 2, 1] = 1.0
    kernel[..., 1, :] = -1.0
    model.get_layer("colours").set_weights([kernel])
    return model


def test_the_image_that_excites_a_filter_has_what_it_looks_for(model):
    images, activations = maximal_images(model, model.get_layer("colours"))
    assert images.shape == (2, 6, 6, 3)
    colours = images.mean(axis=(1, 2))
    red, blue = colours if colours[0, 0] > colours[1, 0] else colours[::-1]
    assert red[0] == pytest.approx(1.0, abs=0.05)
    assert blue[2] == pytest.approx(1.0, abs=0.05)
    assert red[1] == pytest.approx(0.0, abs=0.05)
    assert blue[0] == pytest.approx(0.5, abs=0.1)
    assert list(activations) == sorted(activations, reverse=True)
    assert activations[0] > 6.5


def test_pixels_stay_between_their_bounds_and_the_network_as_it_was(model):
    before = [weights.copy() for weights in model.get_weights()]
    images, _ = maximal_images(model, model.get_layer("second"), low=0.0, high=255.0, steps=80)
    assert images.min() >= 0.0
    assert 200.0 < images.max() <= 255.0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_ascent_is_the_same_for_the_same_seed(model):
    first, second = (maximal_images(model, model.get_layer("second"), steps=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_filters_are_images_of_the_kernel(model):
    shown = weights_of(convolutions(model)[0])
    assert shown.shape == (2, 3, 3, 3)
    assert (shown[0, ..., 0] == 1.0).all()
    assert (shown[0, ..., 2] == 0.0).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_images_are_tiled_on_a_square(channels, tmp_path):
    tile(
        np.random.default_rng(0).random((5, 4, 4, channels), "float32"), tmp_path / "five.png", "five of them"
    )
    height, width, _ = image.imread(tmp_path / "five.png").shape
    assert width > height > 100


def test_the_command_draws_beside_a_saved_network(model, tmp_path, capsys):
    model.save(tmp_path / "network.keras")
    assert main([str(tmp_path / "network.keras")]) == 0
    pictures = [tmp_path / "filters" / name for name in ("weights-colours.png", "maximal-second.png")]
    assert capsys.readouterr().out.split() == [str(path) for path in pictures]
    for path in pictures:
        assert np.ptp(image.imread(path)[..., :3]) > 0.5
    assert draw(tmp_path / "network.keras", "colours")[1].name == "maximal-colours.png"


def test_what_cannot_be_drawn_is_said(model, tmp_path, capsys):
    model.save(tmp_path / "network.keras")
    with pytest.raises(OptionError, match="no convolution 'secnd'; did you mean 'second'"):
        draw(tmp_path / "network.keras", "secnd")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "dense.keras")
    assert main([str(tmp_path / "dense.keras")]) == 2
    assert "has no two-dimensional convolution" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.keras")]) == 2
    assert "cannot be read as a Keras network" in capsys.readouterr().err


def test_a_sequential_network_of_bytes_that_was_saved_is_looked_into(tmp_path):
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3), layers.Flatten()]
    )
    network.save(tmp_path / "network.keras")
    drawn = draw(tmp_path / "network.keras")
    assert all(path.exists() for path in drawn)
    loaded = keras.models.load_model(tmp_path / "network.keras")
    (layer,) = convolutions(loaded)
    assert _largest_pixel(loaded) == 255.0
    assert maximal_images(loaded, layer, 0.0, 255.0, steps=5)[0].max() > 1.0
