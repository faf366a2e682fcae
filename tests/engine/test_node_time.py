"""What an allocation is charged for: hosts, not workers."""

import pytest

from deephpo.engine.node_time import NodeTime
from deephpo.engine.roster import Roster
from deephpo.storage.records import Resumed, WorkerJoined, WorkerLost


def resumed(time_s):
    return Resumed(time_s, "0.1.0", "head", {}, {})


def time_of(*records):
    spent = NodeTime()
    for record in records:
        spent.take(record)
    return spent


def test_nobody_costs_nothing():
    assert NodeTime().total_s(1000.0) == 0.0
    assert NodeTime(7.0).total_s(1000.0) == 7.0


def test_a_host_counts_once_however_many_workers_it_has():
    spent = time_of(*(WorkerJoined(0.0, worker, f"node{worker % 2}") for worker in range(1, 9)))
    assert spent.total_s(10.0) == 20.0


def test_a_host_counts_from_its_first_workers_coming_to_its_last_ones_going():
    spent = time_of(
        WorkerJoined(10.0, 1, "a"),
        WorkerJoined(12.0, 2, "a"),
        WorkerLost(20.0, 1, ""),
        WorkerLost(25.0, 2, ""),
    )
    assert spent.total_s(24.0 + 1.0) == spent.total_s(1000.0) == 15.0


def test_a_host_that_comes_back_counts_again():
    records = [WorkerJoined(0.0, 1, "a"), WorkerLost(5.0, 1, "silent"), WorkerJoined(8.0, 1, "a")]
    assert time_of(*records).total_s(10.0) == 7.0


def test_a_worker_that_starts_anew_elsewhere_leaves_its_host():
    spent = time_of(WorkerJoined(0.0, 1, "a"), WorkerJoined(0.0, 2, "b"), WorkerJoined(10.0, 1, "b"))
    assert spent.total_s(10.0) == 20.0
    assert spent.total_s(20.0) == 30.0


def test_who_comes_back_without_its_host_is_where_it_was():
    records = [WorkerJoined(0.0, 1, "a"), WorkerJoined(0.0, 2, "a"), WorkerLost(4.0, 1, "not a word from it")]
    spent = time_of(*records, WorkerJoined(6.0, 1, ""))
    assert spent.total_s(10.0) == 10.0


def test_who_was_never_there_can_be_lost():
    assert time_of(WorkerLost(4.0, 1, "")).total_s(10.0) == 0.0


@pytest.mark.parametrize("lost", [[], [WorkerLost(60.0, 1, "the search ends")]])
def test_what_a_search_did_not_run_between_two_processes_costs_nothing(lost):
    """The time of a search stands still meanwhile, and its workers are gone whether that was said or not."""
    spent = time_of(WorkerJoined(0.0, 1, "a"), *lost, resumed(60.0), WorkerJoined(63.0, 1, "c"))
    assert spent.total_s(70.0) == 67.0


def test_what_earlier_processes_spent_is_counted_on():
    roster = Roster(None, node_s=100.0)
    assert roster.node_s(50.0) == 100.0
    roster.join(1, "a", 50.0)
    roster.join(2, "a", 55.0)
    roster.join(3, "b", 60.0)
    roster.lose(1, "", 65.0)
    assert roster.node_s(70.0) == 130.0
    roster.lose(2, "", 70.0)
    roster.join(2, "", 80.0)
    assert roster.node_s(90.0) == 160.0
