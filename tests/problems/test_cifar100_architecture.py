"""The nested CIFAR-100 problem: every configuration is a network that trains; the data are parted fairly."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

PATH = Path(__file__).parents[2] / "problems" / "cifar100_architecture.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("cifar100_architecture", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configurations(module, count, seed=0):
    encoding = module.space.encoding()
    return encoding.decode(encoding.sample(count, np.random.default_rng(seed)))


@pytest.fixture
def config(module):
    """The best of the 42 published trainings, a few times narrower."""
    return {
        "activation": "elu",
        "batch_size": 320,
        "coarse_labels_weight": 0.3067,
        "conv_dropout_drop_proba": 0.2592,
        "conv_hiddn_units_mult": 0.6,
        "conv_kernel_size": 3,
        "conv_pool_res_start_idx": 0,
        "fc_dropout_drop_proba": 0.4322,
        "fc_units_1_mult": 0.6,
        "first_conv": True,
        "first_conv_size": 3,
        "l2_weight_reg_mult": 0.4121,
        "lr_rate_mult": 0.6549,
        "nb_conv_pool_layers": 3,
        "one_more_fc": False,
        "optimizer": "Nadam",
        "pooling_type": "avg",
        "res_conv_kernel_size": 2,
        "residual": True,
        "residual_units": 3,
        "use_BN": True,
    }


def test_200_random_configurations_train_for_a_step(module):
    (x, y), _ = module.generated()
    seen = set()
    for config in configurations(module, 200):
        module.keras.backend.clear_session()
        model = module.compiled(config, eager=True)
        weights = model.get_layer("fine").get_weights()[0]
        losses = model.train_on_batch(
            x[:2], {head: labels[:2] for head, labels in y.items()}, return_dict=True
        )
        assert np.isfinite(losses["loss"]), config
        assert not np.array_equal(model.get_layer("fine").get_weights()[0], weights), config
        seen.add((config["pooling_type"], config["residual"], config["one_more_fc"], config["first_conv"]))
    assert len(seen) == 4 * 2 * 2 * 2


def test_each_layer_that_the_configuration_counts_is_there(module, config):
    model = module.network(config)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == 1 + 3 * (1 + 3 * 2)
    assert kinds.count("AveragePooling2D") == 3
    assert kinds.count("Add") == 9
    assert kinds.count("BatchNormalization") == 3 + 9
    plain = module.network({**config, "conv_pool_res_start_idx": 2, "first_conv": False, "one_more_fc": True,
                            "fc_units_2_mult": 1.0, "use_BN": False})  # fmt: skip
    kinds = [type(layer).__name__ for layer in plain.layers]
    assert kinds.count("Conv2D") == 3 + 3 * 2
    assert kinds.count("Dense") == 4
    assert "BatchNormalization" not in kinds


def test_a_residual_unit_that_could_begin_nowhere_is_not_tried(module):
    tried = [c for c in configurations(module, 2000, seed=1) if c["residual"]]
    begins = {(c["nb_conv_pool_layers"], c["conv_pool_res_start_idx"]) for c in tried}
    assert begins == {(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)}


def test_the_heads_are_probabilities_and_images_are_flipped_in_training_only(module, config):
    module.keras.utils.set_random_seed(0)
    model = module.network(
        {**config, "conv_dropout_drop_proba": 0.0, "fc_dropout_drop_proba": 0.0, "use_BN": False}
    )
    x = module.generated()[0][0].astype("float32")
    x[:, :, :16] = 0.0

    def fine(training):
        return np.asarray(model(x, training=training)["fine"])

    assert np.asarray(model(x)["fine"]).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.asarray(model(x)["coarse"]).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert fine(False) == pytest.approx(fine(False))
    as_they_are = [
        np.allclose(row, same, atol=1e-6) for row, same in zip(fine(True), fine(False), strict=True)
    ]
    assert any(as_they_are)
    assert not all(as_they_are)


def test_validation_images_are_training_images_held_out_as_many_of_each_label(module, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    kept = tmp_path / "datasets" / "deephpo" / "cifar100.npz"
    kept.parent.mkdir(parents=True)
    fine = np.repeat(np.arange(100), 51)[:, None]
    x = np.zeros((len(fine), 32, 32, 3), "uint8")
    x[:, 0, 0, 0], x[:, 0, 0, 1] = np.arange(len(fine)) % 256, np.arange(len(fine)) // 256
    np.savez(kept, x=x, fine=fine, coarse=fine // 5)
    (x_train, y_train), (x_valid, y_valid) = module.data()
    assert len(x_train) == 100
    assert np.bincount(y_valid["fine"][:, 0]).tolist() == [50] * 100
    assert (y_valid["coarse"] == y_valid["fine"] // 5).all()
    numbers = [
        [image[0, 0, 0] + 256 * image[0, 0, 1] for image in part.astype(int)] for part in (x_train, x_valid)
    ]
    assert set(numbers[0]).isdisjoint(numbers[1])
    assert [fine[number, 0] for number in numbers[0]] == y_train["fine"][:, 0].tolist()
