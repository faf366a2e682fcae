import csv
import logging
import time

import h5py
import pytest

from deephpo.storage import publisher as module
from deephpo.storage.publisher import Publisher
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path)


@pytest.fixture
def hasty(monkeypatch):
    """Let results be written as often as there is something new."""
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)
    monkeypatch.setattr(module, "SHARE", float("inf"))


def rows(directory):
    if not directory.table.exists():
        return []
    with open(directory.table, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def refresh_until(publisher, state, done):
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        publisher.refresh(state)
        time.sleep(0.01)


def test_publish_writes_table_and_archive_at_once(directory, run_records):
    Publisher(directory).publish(RunState(run_records(0.3, 0.2)))
    assert len(rows(directory)) == 2
    with h5py.File(directory.archive) as file:
        assert list(file["trials/id"]) == [0, 1]
    assert {path.name for path in directory.path.iterdir()} == {"results.csv", "results.h5"}


def test_results_appear_while_the_run_goes_on(directory, run_records, hasty):
    publisher = Publisher(directory)
    refresh_until(publisher, RunState(run_records(0.3, None)), lambda: len(rows(directory)) == 1)
    refresh_until(publisher, RunState(run_records(0.3, 0.2)), lambda: len(rows(directory)) == 2)
    publisher.publish(RunState())


def test_nothing_is_written_before_some_time_went_by(directory, run_records):
    publisher, state = Publisher(directory), RunState(run_records(0.3))
    for _ in range(100):
        publisher.refresh(state)
    assert list(directory.path.iterdir()) == []


def test_nothing_is_written_again_when_nothing_is_new(directory, run_records, hasty):
    publisher, state = Publisher(directory), RunState(run_records(0.3, None))
    refresh_until(publisher, state, directory.archive.exists)
    publisher._thread.join()
    directory.table.unlink()
    for _ in range(20):
        publisher.refresh(state)
        time.sleep(0.005)
    assert not directory.table.exists()


def test_a_directory_that_vanished_costs_a_warning_and_not_the_search(directory, run_records, hasty, caplog):
    publisher = Publisher(RunDirectory(directory.path / "vanished"))
    with caplog.at_level(logging.WARNING, logger="deephpo"):
        refresh_until(publisher, RunState(run_records(0.3)), lambda: caplog.records)
    assert "The results could not be written" in caplog.text


def test_a_run_that_never_began_has_no_results(directory):
    Publisher(directory).publish(RunState())
    assert list(directory.path.iterdir()) == []
