import csv
import dataclasses
import os

import pytest

from deephpo.storage.run_state import RunState
from deephpo.storage.tables import metric_names, write_table
from deephpo.trial import printable


@pytest.fixture
def read(tmp_path, declaration):
    """Return a function that writes the table of a run, and reads it back."""

    def read(records, about=declaration):
        path = tmp_path / "results.csv"
        write_table(about, RunState(records).ended, path)
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


def test_the_columns_come_in_the_order_that_scripts_rely_on(read, run_records):
    (row,) = read(run_records(0.3))
    assert list(row) == [
        *("id", "state", "value", "p:lr", "p:optimizer", "p:momentum", "m:loss", "m:acc"),
        *("started_s", "ended_s", "worker", "ranks", "host", "reason"),
    ]


def test_there_is_one_row_for_each_trial_that_ended_by_its_id(read, run_records):
    rows = read(run_records(0.3, "no", None, 0.1, finished=False))
    assert [(row["id"], row["state"]) for row in rows] == [
        ("0", "completed"),
        ("1", "failed"),
        ("3", "completed"),
    ]


def test_a_row_holds_the_whole_trial_at_full_precision(read, run_records):
    row = read(run_records(0.3, 0.1 + 0.2))[1]
    assert list(row.values()) == [
        *("1", "completed", "0.30000000000000004", "0.0002", "sgd", "0.0078125"),
        *("0.30000000000000004", "0.125", "0.000", "1.000", "2", "1", "node2", ""),
    ]


def test_what_a_trial_does_not_have_is_an_empty_cell(read, run_records):
    inactive, failed = read(run_records(0.3, 'ValueError: a, "b"\nc'))
    assert inactive["p:momentum"] == ""
    assert (failed["value"], failed["reason"]) == ("", 'ValueError: a, "b"\nc')


def test_columns_are_the_same_whatever_order_results_come_in(declaration, run_records):
    ended = RunState(run_records(0.3, 0.2, "no")).ended
    assert metric_names(declaration, ended) == metric_names(declaration, ended[::-1]) == ["loss", "acc"]
    ended[0].metrics = {"zeta": 1.0, "alpha": 2.0, **ended[0].metrics}
    assert metric_names(declaration, ended) == ["loss", "acc", "alpha", "zeta"]


def test_an_objective_that_no_trial_returned_has_no_column(declaration, run_records):
    unmet = dataclasses.replace(declaration, objective="error")
    assert metric_names(unmet, RunState(run_records(0.3)).ended) == ["acc", "loss"]


def test_a_run_without_trials_has_a_header_only(tmp_path, declaration):
    write_table(declaration, [], tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text() == (
        "id,state,value,p:lr,p:optimizer,p:momentum,started_s,ended_s,worker,ranks,host,reason\n"
    )


def test_a_text_that_is_none_is_shown_by_its_codes(read, run_records):
    undecodable = os.fsdecode(b"no file /data/\xff\0")
    assert printable(undecodable) == r"no file /data/\udcff\x00"
    assert printable("é, \n and all that") == "é, \n and all that"
    (row,) = read(run_records(undecodable))
    assert row["reason"] == r"no file /data/\udcff\x00"
