import os

import pytest
from matplotlib import image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from deephpo.keras.diagram import boxes_of, draw, main  # noqa: E402


def colours(path):
    picture = (image.imread(path)[..., :3] * 255).round().astype(int)
    return {f"{r:02x}{g:02x}{b:02x}" for r, g, b in picture.reshape(-1, 3)}


@pytest.fixture
def branched():
    layers = keras.layers
    given = keras.Input((16, 16, 3), name="given")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="trunk")(given)
    left = layers.Conv2D(8, (1, 3), padding="same", name="left")(layers.Dropout(0.25, name="drop")(x))
    right = layers.Conv2D(8, 1, name="right")(x)
    x = layers.Add(name="sum")([left, right, x])
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(2, name="pool")(x))
    heads = {"fine": layers.Dense(10, "softmax", name="fine")(x), "coarse": layers.Dense(2, name="coarse")(x)}
    return keras.Model(given, heads)


def test_every_layer_is_below_those_whose_outputs_it_takes(branched):
    boxes = {box.name: box for box in boxes_of(branched)}
    assert set(boxes) == {layer.name for layer in branched.layers}
    assert {name: set(box.parents) for name, box in boxes.items()} == {
        "given": set(),
        "trunk": {"given"},
        "drop": {"trunk"},
        "left": {"drop"},
        "right": {"trunk"},
        "sum": {"left", "right", "trunk"},
        "pool": {"sum"},
        "flat": {"pool"},
        "fine": {"flat"},
        "coarse": {"flat"},
    }
    assert all(boxes[parent].level < box.level for box in boxes.values() for parent in box.parents)


def test_no_two_layers_are_in_one_place_and_the_trunk_is_straight(branched):
    boxes = boxes_of(branched)
    assert len({(box.level, box.lane) for box in boxes}) == len(boxes)
    assert {box.lane for box in boxes if box.name in {"given", "trunk", "sum", "pool", "flat"}} == {0}
    assert max(box.lane for box in boxes) == 1


def test_a_box_says_what_the_layer_does_and_what_comes_out(branched):
    texts = {box.name: box.text for box in boxes_of(branched)}
    assert (
        texts["trunk"]
        == "Conv2D 3 \N{MULTIPLICATION SIGN} 3 relu\n16 \N{MULTIPLICATION SIGN} 16 \N{MULTIPLICATION SIGN} 8"
    )
    assert texts["drop"].splitlines()[0] == "Dropout 0.25"
    assert texts["pool"].startswith("MaxPooling2D 2 \N{MULTIPLICATION SIGN} 2\n8 \N{MULTIPLICATION SIGN} 8")
    assert texts["coarse"] == "Dense\n2"


def test_a_sequential_model_is_a_chain_also_before_its_input_is_known():
    model = keras.Sequential([keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")])
    assert [(box.parents, box.level, box.lane, box.text) for box in boxes_of(model)] == [
        ((), 0, 0, "Dense"),
        (("a",), 1, 0, "Dense"),
    ]
    lstm = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(9, 4), keras.layers.LSTM(7)])
    assert [box.text.splitlines()[-1] for box in boxes_of(lstm)] == ["? \N{MULTIPLICATION SIGN} 4", "7"]


def test_a_layer_that_is_used_twice_stands_there_once():
    given, shared = keras.Input((4,), name="given"), keras.layers.Dense(4, name="shared")
    boxes = {box.name: box for box in boxes_of(keras.Model(given, shared(shared(given))))}
    assert len(boxes) == 2
    assert boxes["shared"].parents == ("given",)


def test_the_picture_shows_convolutions_pooling_and_dense_layers_in_their_colours(branched, tmp_path):
    draw(branched, tmp_path / "network.png")
    assert {"bcd6ea", "d9e8d2", "f2d7b6"} <= colours(tmp_path / "network.png")
    draw(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), tmp_path / "dense.png")
    assert "bcd6ea" not in colours(tmp_path / "dense.png")


def test_the_command_draws_the_best_trial_of_a_run(finished_run, capsys):
    run = finished_run()
    assert main([str(run.path)]) == 0
    assert capsys.readouterr().out == (
        f"The network of trial 1, the best, is drawn in {run.path / 'network.png'}.\n"
    )
    assert "bcd6ea" in colours(run.path / "network.png")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
