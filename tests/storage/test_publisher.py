import csv
import logging
import subprocess
import sys
import time
from itertools import pairwise
from threading import current_thread

import h5py
import pytest

from deephpo.storage import archive
from deephpo.storage import publisher as module
from deephpo.storage.journal import Journal
from deephpo.storage.publisher import Publisher
from deephpo.storage.records import Begun, Ended, Reported, Started, Suggested, WorkerJoined
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, Trial, TrialState


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


def test_a_trial_that_went_out_again_and_ended_is_something_new(directory, run_records, hasty):
    lost = Ended(1.0, 1, Outcome(0, TrialState.PREEMPTED, reason="its worker is lost"))
    publisher, state = Publisher(directory), RunState([*run_records(None, finished=False), lost])
    refresh_until(publisher, state, lambda: rows(directory))
    publisher._thread.join()
    state.apply(Started(2.0, 0, 2))
    state.apply(Ended(3.0, 2, Outcome(0, TrialState.COMPLETED, 0.5, {"loss": 0.5})))
    refresh_until(publisher, state, lambda: rows(directory)[0]["state"] == "completed")
    publisher._thread.join()


def test_a_directory_that_vanished_costs_a_warning_and_not_the_search(directory, run_records, hasty, caplog):
    publisher = Publisher(RunDirectory(directory.path / "vanished"))
    with caplog.at_level(logging.WARNING, logger="deephpo"):
        refresh_until(publisher, RunState(run_records(0.3)), lambda: caplog.records)
    assert caplog.messages[0] == (
        "Not written: results.csv (No such file or directory), results.h5 (No such file or directory); "
        "every result is in journal.jsonl."
    )


def test_the_last_writing_tells_what_went_wrong_and_kills_nothing(directory, run_records, monkeypatch):
    def fail(*arguments):
        raise TypeError("no such type")

    monkeypatch.setattr(module, "write_archive", fail)
    told = Publisher(directory).publish(RunState(run_records(0.3)))
    assert told == "Not written: results.h5 (TypeError: no such type); every result is in journal.jsonl."
    assert len(rows(directory)) == 1
    monkeypatch.undo()
    assert Publisher(directory).publish(RunState(run_records(0.3))) == ""


def test_after_a_failure_some_time_goes_by_before_the_next_try(directory, run_records, monkeypatch, caplog):
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)
    publisher = Publisher(RunDirectory(directory.path / "vanished"))
    refresh_until(publisher, RunState(run_records(0.3)), lambda: publisher._thread is not None)
    publisher._thread.join()
    last, thread = publisher._last, publisher._thread
    assert time.monotonic() - last < 5.0
    publisher._pause_s = 60.0
    publisher.refresh(RunState(run_records(0.3, 0.2)))
    assert publisher._thread is thread


def test_what_the_thread_reads_of_a_trial_that_goes_out_again_does_not_change(
    directory, run_records, hasty, monkeypatch
):
    seen = []
    monkeypatch.setattr(module, "write_table", lambda declaration, ended, path: seen.append(ended[0]))
    lost = Ended(1.0, 1, Outcome(0, TrialState.PREEMPTED, reason="its worker is lost"))
    records = [*run_records(None, finished=False), Reported(0.5, Report(0, 1, {"loss": 1.0})), lost]
    publisher, state = Publisher(directory), RunState(records)
    refresh_until(publisher, state, lambda: seen)
    state.apply(Started(2.0, 0, 2))
    state.apply(Reported(2.5, Report(0, 1, {"loss": 0.5, "late": 1.0})))
    assert (seen[0].state, seen[0].worker) == (TrialState.PREEMPTED, 1)
    assert seen[0].curve == [(0.5, 1, {"loss": 1.0})]
    assert "late" not in seen[0].metrics
    publisher._thread.join()


def test_the_table_is_right_while_trials_end_and_go_out_again(directory, run_records, hasty):
    """The thread reads and writes while every trial is preempted, started anew and completed."""
    count = 3000
    publisher, state = Publisher(directory), RunState(run_records(*[None] * count, finished=False))
    tables = 0
    for k in range(count):
        first, second = 1 + k % 2, 2 - k % 2
        state.apply(Ended(1.0, first, Outcome(k, TrialState.PREEMPTED, reason="lost")))
        publisher.refresh(state)
        state.apply(Started(2.0, k, second))
        state.apply(Reported(3.0, Report(k, 1, {"acc": 0.5})))
        state.apply(Ended(4.0, second, Outcome(k, TrialState.COMPLETED, float(k), {"loss": float(k)})))
        publisher.refresh(state)
        if k % 100 == 0:
            time.sleep(0.01)
        if directory.table.exists():
            tables += 1
            check_rows(directory)
            directory.table.unlink()
    publisher.publish(state)
    assert check_rows(directory) == count
    assert tables > 3


def check_rows(directory):
    """Assert that each trial stands in the table as one that ended, and return how many there are."""
    found = rows(directory)
    for row in found:
        id_, ends = int(row["id"]), (row["state"], row["value"], row["ended_s"], row["worker"], row["reason"])
        assert ends in (
            ("preempted", "", "1.000", str(1 + id_ % 2), "lost"),
            ("completed", str(float(id_)), "4.000", str(2 - id_ % 2), ""),
        )
    assert [int(row["id"]) for row in found] == sorted({int(row["id"]) for row in found})
    return len(found)


def test_what_takes_long_is_done_in_a_thread_and_in_short_blocks(directory, run_records, hasty, monkeypatch):
    threads, sizes, write = [], [], h5py.Dataset.__setitem__

    def note(dataset, place, values):
        threads.append(current_thread())
        sizes.append(len(values))
        write(dataset, place, values)

    monkeypatch.setattr(archive, "_BLOCK", 10)
    monkeypatch.setattr(h5py.Dataset, "__setitem__", note)
    publisher = Publisher(directory)
    refresh_until(publisher, RunState(run_records(*[0.5] * 95)), directory.archive.exists)
    publisher._thread.join()
    assert set(threads) == {publisher._thread}
    assert max(sizes) == 10
    assert len(rows(directory)) == 95


@pytest.mark.slow
def test_the_loop_is_not_held_up_however_many_trials_there_are(directory, declaration, hasty, figure):
    """It goes on while 100,000 trials are chosen and written; 50 ms is what it may be held up at most."""
    state = RunState([Begun(0.0, "0.1.0", "head", "demo.py", declaration.to_dict(), {})])
    state.apply(WorkerJoined(0.0, 1, "node1"))
    trials = tuple(Trial(k, {"lr": k / 1e6, "optimizer": "adam"}) for k in range(100_000))
    state.apply(Suggested(0.0, trials, False))
    for k in range(len(trials)):
        state.apply(Started(0.0, k, 1))
        state.apply(Ended(1.0, 1, Outcome(k, TrialState.COMPLETED, k / 7, {"loss": k / 7})))
    # Another process may take the core for once, not every time.
    longest_s = min(hold_up_s(Publisher(directory), state) for _ in range(3))
    figure(f"longest hold-up of the loop while 100,000 trials are written: {1000 * longest_s:.0f} ms")
    assert longest_s <= 0.05
    assert len(rows(directory)) == len(trials)
    with h5py.File(directory.archive) as file:
        assert file["trials/id"][()].tolist() == list(range(len(trials)))
        assert file["metrics/loss"][()].tolist() == [k / 7 for k in range(len(trials))]
        assert set(file["trials/state"].asstr()[()]) == {"completed"}


def hold_up_s(publisher, state):
    """Return the longest time between two turns of a loop that sleeps 1 ms while the results are written."""
    times = [time.perf_counter()]
    publisher.refresh(state)
    while publisher._thread.is_alive():
        times.append(time.perf_counter())
        time.sleep(0.001)
    return max(later - earlier for earlier, later in pairwise(times))


def test_on_a_full_disk_nothing_is_written_and_nothing_else_happens(directory, run_records, tmp_path):
    code = """
import resource, signal, sys
from pathlib import Path
from deephpo.storage.journal import read_journal
from deephpo.storage.publisher import Publisher
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState

directory = RunDirectory(Path(sys.argv[1]))
state = RunState(read_journal(directory.journal))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
print(Publisher(directory).publish(state))
"""
    journal = Journal(directory.journal)
    journal.append(run_records(*(0.5 for _ in range(50))))
    journal.close()
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (
        0,
        "Not written: results.csv (File too large), results.h5 (File too large); "
        "every result is in journal.jsonl.\n",
    )
    assert ended.stderr.count("\n") == 1  # the warning in the log
    assert [path.name for path in directory.path.iterdir()] == ["journal.jsonl"]


def test_a_run_that_never_began_has_no_results(directory):
    Publisher(directory).publish(RunState())
    assert list(directory.path.iterdir()) == []
