import math

import h5py
import numpy as np
import pytest

from deephpo import Categorical, Float, Integer, Ordinal, Space
from deephpo.problem import Declaration
from deephpo.storage.archive import write_archive
from deephpo.storage.run_state import RunState, TrialEntry
from deephpo.trial import TrialState


@pytest.fixture
def archive(tmp_path, declaration):
    """Return a function that writes trials, and opens the file with plain h5py."""
    files = []

    def open_archive(trials, about=declaration):
        write_archive(about, trials, "0.1.0", tmp_path / "results.h5")
        files.append(h5py.File(tmp_path / "results.h5"))
        return files[-1]

    yield open_archive
    for file in files:
        file.close()


@pytest.fixture
def ended(run_records):
    return RunState(run_records(0.3, "ValueError: é", 0.1, 0.2)).ended


def texts(dataset):
    return list(dataset.asstr()[:])


def test_the_archive_says_what_was_searched(archive, ended):
    assert dict(archive(ended).attrs) == {
        "problem": "demo",
        "objective": "loss",
        "direction": "minimize",
        "deephpo": "0.1.0",
    }


def test_trials_stand_in_columns_of_one_length(archive, ended):
    trials = archive(ended)["trials"]
    assert {len(column) for column in trials.values()} == {4}
    assert list(trials["id"]) == [0, 1, 2, 3]
    assert list(trials["worker"]) == [1, 2, 1, 2]
    np.testing.assert_array_equal(trials["value"], [0.3, math.nan, 0.1, 0.2])
    np.testing.assert_array_equal(trials["ended_s"], [1.0, 1.0, 2.0, 2.0])
    assert trials["started_s"].attrs["unit"] == "seconds since the search began"
    assert texts(trials["state"]) == ["completed", "failed", "completed", "completed"]
    assert texts(trials["host"]) == ["node1", "node2", "node1", "node2"]
    assert texts(trials["reason"]) == ["", "ValueError: é", "", ""]


def test_parameters_hold_their_values_and_what_they_may_be(archive, ended):
    parameters = archive(ended)["parameters"]
    assert set(parameters) == {"lr", "optimizer", "momentum"}
    np.testing.assert_allclose(parameters["lr"], [1e-4, 2e-4, 3e-4, 4e-4])
    assert dict(parameters["lr"].attrs) == {"kind": "Float", "low": 1e-4, "high": 1e-1, "log": True}
    assert texts(parameters["optimizer"]) == ["adam", "sgd", "adam", "sgd"]
    assert list(parameters["optimizer"].attrs["choices"]) == ["adam", "sgd"]


def test_an_inactive_parameter_is_nan_or_an_empty_text(archive):
    space = Space(
        [
            Categorical("on", [True, False]),
            Integer("n", 0, 8, step=2, when={"on": True}),
            Ordinal("size", [None, 16], when={"on": True}),
        ]
    )
    configs = [{"on": True, "n": 4, "size": None}, {"on": False}]
    trials = [TrialEntry(k, config, TrialState.FAILED) for k, config in enumerate(configs)]
    parameters = archive(trials, Declaration("odd", space))["parameters"]
    np.testing.assert_array_equal(parameters["n"], [4, math.nan])
    assert parameters["n"].attrs["step"] == 2
    assert texts(parameters["size"]) == ["None", ""]
    assert parameters["size"].attrs["kind"] == "Ordinal"
    assert texts(parameters["on"]) == ["True", "False"]


def test_curves_hold_one_entry_for_each_report(archive, ended):
    ended[2].curve.append((1.75, 2, {"loss": 8.0}))
    curves = archive(ended)["curves"]
    assert list(curves["trial"]) == [0, 1, 2, 2, 3]
    assert list(curves["step"]) == [1, 1, 1, 2, 1]
    assert list(curves["time_s"]) == [0.5, 0.5, 1.5, 1.75, 1.5]
    np.testing.assert_array_equal(curves["loss"], [9, 9, 9, 8, 9])
    np.testing.assert_array_equal(curves["acc"], [0, 0.125, 0.25, math.nan, 0.375])


@pytest.mark.parametrize("metric", ["time_s", "trial", "step", "a/b", "/", "."])
def test_no_name_of_a_metric_can_break_the_archive(archive, metric):
    curve = [(1.0, 1, {metric: 7.0, "a_b": 3.0})]
    trial = TrialEntry(0, {"lr": 0.1}, TrialState.COMPLETED, 0.5, {metric: 7.0, "a_b": 3.0}, curve=curve)
    curves = archive([trial])["curves"]
    assert (curves["trial"][0], curves["step"][0], curves["time_s"][0]) == (0, 1, 1.0)
    assert sorted(column[0] for column in curves.values()) == [0, 1, 1.0, 3.0, 7.0]


def test_parameters_whose_names_differ_by_a_slash_are_kept_apart(archive):
    space = Space([Float("a/b", 0, 1), Float("a_b", 0, 1)])
    trial = TrialEntry(0, {"a/b": 0.25, "a_b": 0.75}, TrialState.COMPLETED, 0.5)
    parameters = archive([trial], Declaration("odd", space))["parameters"]
    assert sorted(column[0] for column in parameters.values()) == [0.25, 0.75]


def test_a_run_without_trials_gives_empty_columns(archive):
    file = archive([])
    assert {len(column) for group in file.values() for column in group.values()} == {0}
    assert set(file["parameters"]) == {"lr", "optimizer", "momentum"}
