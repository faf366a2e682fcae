import math
import os

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
    assert list(trials["ranks"]) == [1, 1, 1, 1]
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
    assert dict(parameters["optimizer"].attrs) == {"kind": "Categorical"}
    assert texts(parameters.parent["choices/optimizer"]) == ["adam", "sgd"]


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


def test_numbers_are_stored_as_numbers_and_whole_ones_as_whole_ones_where_they_are_always_there(archive):
    space = Space(
        [
            Integer("n", 1, 8),
            Ordinal("batch", [16, 32, 64]),
            Categorical("rate", [0.1, 1]),
            Integer("m", 1, 8, when={"n": 8}),
            Ordinal("size", [1, 2], when={"n": 8}),
            Categorical("mixed", [1, "auto"]),
            Categorical("flag", [True, False]),
        ]
    )
    always = {"n": 7, "batch": 32, "rate": 1, "mixed": 1, "flag": False}
    configs = [always, {**always, "n": 8, "m": 3, "size": 2}]
    trials = [TrialEntry(k, config, TrialState.FAILED) for k, config in enumerate(configs)]
    file = archive(trials, Declaration("odd", space))
    kinds = {name: column.dtype.kind for name, column in file["parameters"].items()}
    assert kinds == {"n": "i", "batch": "i", "rate": "f", "m": "f", "size": "f", "mixed": "O", "flag": "O"}
    assert list(file["parameters/batch"]) == [32, 32]
    np.testing.assert_array_equal(file["parameters/m"], [math.nan, 3])
    np.testing.assert_array_equal(file["parameters/size"], [math.nan, 2])
    assert list(file["choices/batch"]) == [16, 32, 64]
    assert list(file["choices/rate"]) == [0.1, 1.0]
    assert texts(file["choices/mixed"]) == ["1", "auto"]
    assert dict(file["parameters/n"].attrs) == {"kind": "Integer", "low": 1, "high": 8, "log": False}


def test_numbers_beyond_what_hdf5_can_hold_are_stored_as_well_as_can_be(archive):
    huge = 2**70
    space = Space([Integer("n", huge, huge + 8), Ordinal("size", [1, huge]), Ordinal("h", [1, 10**400])])
    config = {"n": huge, "size": huge, "h": 10**400}
    entry = TrialEntry(0, config, TrialState.FAILED, curve=[(1.0, huge, {"loss": 1.0})])
    file = archive([entry], Declaration("odd", space))
    assert file["parameters/n"][0] == file["parameters/size"][0] == file["curves/step"][0] == float(huge)
    assert texts(file["parameters/h"]) == [str(10**400)]


def test_thousands_of_choices_find_their_place(archive):
    space = Space([Categorical("word", [f"a choice with the number {k}" for k in range(5000)])])
    choices = texts(archive([], Declaration("many", space))["choices/word"])
    assert (len(choices), choices[4999]) == (5000, "a choice with the number 4999")


def test_metrics_hold_the_last_value_of_each_trial_also_of_what_was_only_returned(archive):
    first = TrialEntry(0, {"lr": 0.1}, TrialState.COMPLETED, 0.5, {"loss": 0.5, "params": 7.0})
    second = TrialEntry(1, {"lr": 0.1}, TrialState.FAILED, metrics={"loss": 0.75})
    file = archive([first, second])
    assert set(file["metrics"]) == {"loss", "params"}
    assert set(file["curves"]) == {"trial", "step", "time_s"}
    np.testing.assert_array_equal(file["metrics/loss"], [0.5, 0.75])
    np.testing.assert_array_equal(file["metrics/params"], [7.0, math.nan])


UNDECODABLE = os.fsdecode(b"no file /data/\xff\0")


def test_no_text_can_break_the_archive(archive):
    space = Space([Categorical(UNDECODABLE, [UNDECODABLE, "b"])])
    entry = TrialEntry(0, {UNDECODABLE: UNDECODABLE}, TrialState.FAILED, metrics={UNDECODABLE: 1.0})
    entry.reason = entry.host = UNDECODABLE
    file = archive([entry], Declaration(UNDECODABLE, space, UNDECODABLE))
    shown = r"no file /data/\udcff\x00"
    assert file.attrs["problem"] == file.attrs["objective"] == shown
    assert texts(file["trials/reason"]) == texts(file["trials/host"]) == [shown]
    (parameter,), (metric,) = file["parameters"].values(), file["metrics"].values()
    assert texts(parameter) == [shown]
    assert metric.attrs["name"] == shown


def test_curves_hold_one_entry_for_each_report(archive, ended):
    ended[2].curve.append((1.75, 2, {"loss": 8.0}))
    curves = archive(ended)["curves"]
    assert list(curves["trial"]) == [0, 1, 2, 2, 3]
    assert list(curves["step"]) == [1, 1, 1, 2, 1]
    assert list(curves["time_s"]) == [0.5, 0.5, 1.5, 1.75, 1.5]
    np.testing.assert_array_equal(curves["loss"], [9, 9, 9, 8, 9])
    np.testing.assert_array_equal(curves["acc"], [0, 0.125, 0.25, math.nan, 0.375])


@pytest.mark.parametrize("metric", ["time_s", "trial", "step", "a/b", "/", ".", "..", "./a", ""])
def test_no_name_of_a_metric_can_break_the_archive(archive, metric):
    curve = [(1.0, 1, {metric: 7.0, "a_b": 3.0})]
    trial = TrialEntry(0, {"lr": 0.1}, TrialState.COMPLETED, 0.5, {metric: 7.0, "a_b": 3.0}, curve=curve)
    file = archive([trial])
    curves = file["curves"]
    assert sorted(column[0] for column in file["metrics"].values()) == [3.0, 7.0]
    assert (curves["trial"][0], curves["step"][0], curves["time_s"][0]) == (0, 1, 1.0)
    assert sorted(column[0] for column in curves.values()) == [0, 1, 1.0, 3.0, 7.0]


def test_parameters_whose_names_differ_by_a_slash_are_kept_apart(archive):
    space = Space([Float("a/b", 0, 1), Float("a_b", 0, 1)])
    trial = TrialEntry(0, {"a/b": 0.25, "a_b": 0.75}, TrialState.COMPLETED, 0.5)
    parameters = archive([trial], Declaration("odd", space))["parameters"]
    assert {column.attrs.get("name", key): column[0] for key, column in parameters.items()} == {
        "a/b": 0.25,
        "a_b": 0.75,
    }


def test_a_run_without_trials_gives_empty_columns(archive):
    file = archive([])
    columns = [file[group].values() for group in ("trials", "parameters", "metrics", "curves")]
    assert {len(column) for group in columns for column in group} == {0}
    assert set(file["parameters"]) == {"lr", "optimizer", "momentum"}
