"""Who is there, who is free, and who was silent for too long."""

from deephpo.engine.roster import Roster


def roster(workers=3, lease_s=60.0):
    """Return a roster of so many workers, each on a host of its own, that joined a second apart."""
    there = Roster(lease_s)
    for worker in range(1, workers + 1):
        there.join(worker, f"node{worker}", float(worker))
    return there


def test_who_joins_is_there_and_free():
    there = roster(3)
    assert (len(there), there.present(), len(there.idle)) == (3, [1, 2, 3], 3)
    assert 2 in there
    assert 4 not in there


def test_who_is_lost_is_neither_there_nor_free_until_it_joins_again():
    there = roster(2)
    there.lose(1, "killed", 0.0)
    assert (there.lost, there.last_loss, there.present()) == ({1}, "killed", [2])
    assert 1 not in there.idle
    there.join(1, "node1", 5.0)
    assert (there.lost, there.present()) == (set(), [1, 2])
    assert 1 in there.idle


def test_the_most_silent_one_is_overdue_first_and_only_after_its_lease():
    there = roster(3)
    assert there.overdue(61.0) is None
    assert there.overdue(61.5) == 1
    there.renew_lease(1, 61.5)
    assert there.overdue(61.9) is None
    assert there.overdue(62.5) == 2
    there.lose(2, "silent", 0.0)
    assert there.overdue(62.5) is None
    assert there.overdue(63.5) == 3


def test_without_a_lease_nobody_is_overdue():
    assert roster(lease_s=None).overdue(1e9) is None
    assert Roster(1.0).overdue(1e9) is None


def test_who_comes_back_without_its_host_is_where_it_was_and_one_with_another_is_there():
    there = roster(2)
    for worker in (1, 2):
        there.idle.discard(worker)
    there.join(3, "node1", 4.0)
    there.lose(1, "silent", 0.0)
    there.join(1, "", 5.0)
    there.join(2, "elsewhere", 5.0)
    assert there.idle.take(2) == (1, 3)  # the only host with two
    there.free(1)
    there.join(4, "elsewhere", 6.0)
    assert there.idle.take(2) == (2, 4)


def test_silence_is_forgotten_with_the_return_and_with_the_final_loss():
    there = roster(3)
    for worker, had_trial in ((1, False), (2, True), (3, False)):
        there.lose(worker, "silent", 0.0)
        there.fall_silent(worker, had_trial)
    assert [there.is_silent(worker) for worker in (1, 2, 3, 4)] == [True, True, True, False]
    assert [there.is_silent_and_free(worker) for worker in (1, 2, 3, 4)] == [True, False, True, False]
    there.join(1, "", 100.0)
    there.lose(3, "its rank died", 0.0)
    assert [there.is_silent(worker) for worker in (1, 2, 3)] == [False, True, False]
    assert there.lost == {2, 3}
