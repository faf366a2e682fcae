"""Where a process stands among those that train one trial together."""

import random

import pytest

from deephpo.worker.place import ALONE, Place


def places(*hosts):
    """Return the places of all ranks of a gang whose members run on these hosts."""
    return [Place(rank, tuple(range(11, 11 + len(hosts))), hosts) for rank in range(len(hosts))]


def test_a_process_alone_is_the_first_of_one_in_every_way():
    counts = (ALONE.local_rank, ALONE.local_size, ALONE.cross_rank, ALONE.cross_size)
    assert (ALONE.rank, ALONE.size, *counts) == (0, 1, 0, 1, 0, 1)


def test_each_host_counts_its_own_in_the_order_of_the_ranks():
    gang = places("a", "a", "b", "a", "b")
    assert [place.local_rank for place in gang] == [0, 1, 0, 2, 1]
    assert [place.local_size for place in gang] == [3, 3, 2, 3, 2]
    assert {place.size for place in gang} == {5}
    assert [place.host for place in gang] == ["a", "a", "b", "a", "b"]


def test_processes_of_one_local_rank_are_counted_across_the_hosts_that_have_it():
    gang = places("a", "a", "b", "a", "b")
    assert [place.cross_rank for place in gang] == [0, 0, 1, 0, 1]
    assert [place.cross_size for place in gang] == [2, 2, 2, 1, 2]


@pytest.mark.parametrize("seed", range(20))
def test_no_two_processes_have_the_same_place_in_either_count(seed):
    drawn = random.Random(seed)
    gang = places(*drawn.choices("abcd", k=drawn.randint(1, 12)))
    for name, others, size in (
        ("local_rank", "host", "local_size"),
        ("cross_rank", "local_rank", "cross_size"),
    ):
        groups = {}
        for place in gang:
            groups.setdefault(getattr(place, others), []).append(place)
        for group in groups.values():
            assert [getattr(place, name) for place in group] == list(range(len(group)))
            assert {getattr(place, size) for place in group} == {len(group)}


@pytest.mark.parametrize("counts", [(1,), (2, 2), (3, 1), (1, 3, 2)])
def test_places_are_those_that_horovods_own_launcher_gives(counts):
    hosts = pytest.importorskip("horovod.runner.common.util.hosts", reason="make horovod")
    names = [f"node{k}" for k in range(len(counts))]
    listed = ",".join(f"{name}:{count}" for name, count in zip(names, counts, strict=True))
    theirs = hosts.get_host_assignments(hosts.parse_hosts(listed), sum(counts))
    ours = places(*[name for name, count in zip(names, counts, strict=True) for _ in range(count)])
    fields = ("rank", "local_rank", "cross_rank", "size", "local_size", "cross_size")
    assert [[getattr(place, field) for field in ("host", *fields)] for place in ours] == [
        [getattr(slot, field) for field in ("hostname", *fields)] for slot in theirs
    ]
