"""What the worker ranks of one node share."""

import os

import pytest

from deephpo.drivers.node import Node, Sight, sight_of
from deephpo.errors import LaunchError
from deephpo.hardware.devices import Device, Devices, Kind


def sight(rank, cores=(0,), gpus=""):
    """Return what a rank sees that may use these cores, and these GPUs, a letter each."""
    devices = tuple(Device(str(number), letter) for number, letter in enumerate(gpus))
    return Sight(rank, frozenset(cores), Devices(Kind.CUDA, devices) if gpus else Devices())


def owned(node, rank, share=False):
    return "".join(device.identity for device in node.devices_of(rank, share).each)


def test_ranks_that_may_use_all_cores_own_equal_parts_of_them():
    node = Node(tuple(sight(rank, range(8)) for rank in (1, 2, 3, 4)))
    assert [node.cores_of(rank) for rank in (1, 2, 3, 4)] == [2.0] * 4


def test_ranks_that_are_bound_own_the_cores_they_are_bound_to():
    node = Node((sight(1, [0]), sight(2, [1, 2, 3])))
    assert [node.cores_of(rank) for rank in (1, 2)] == [1.0, 3.0]


def test_cores_that_some_share_count_in_parts():
    node = Node((sight(1, [0, 1]), sight(2, [1, 2]), sight(3, [1])))
    assert [node.cores_of(rank) for rank in (1, 2, 3)] == pytest.approx([4 / 3, 4 / 3, 1 / 3])


@pytest.mark.parametrize("cores", [[range(6)] * 3, [[0, 1], [1, 2], [5]], [[k] for k in range(4)]])
def test_together_the_ranks_own_every_core_once(cores):
    node = Node(tuple(sight(rank, part) for rank, part in enumerate(cores, start=1)))
    assert sum(node.cores_of(s.rank) for s in node.sights) == pytest.approx(len(set().union(*cores)))


def test_gpus_are_shared_out_in_the_order_of_the_ranks():
    node = Node(tuple(sight(rank, gpus="abcd") for rank in (3, 5)))
    assert [owned(node, rank) for rank in (3, 5)] == ["ab", "cd"]


def test_ranks_on_one_gpu_must_be_asked_for():
    node = Node(tuple(sight(rank, gpus="a") for rank in (1, 2)))
    assert [owned(node, rank, share=True) for rank in (1, 2)] == ["a", "a"]
    for rank in (1, 2, 9):  # all of the node are told the same, the master too
        with pytest.raises(LaunchError, match="Each worker needs a GPU of its own, but 2 workers"):
            node.devices_of(rank, share=False)


def test_without_gpus_nobody_owns_one():
    node = Node((sight(1), sight(2)))
    assert [node.devices_of(rank, share=False) for rank in (1, 2)] == [Devices(), Devices()]


def test_a_rank_that_is_no_worker_owns_nothing():
    node = Node((sight(1, range(4), "ab"), sight(2, range(4), "ab")))
    assert (node.cores_of(0), node.devices_of(0, share=False)) == (0, Devices())


def test_a_node_with_the_master_alone_has_no_workers():
    assert (Node(()).cores_of(0), Node(()).devices_of(0, share=False)) == (0, Devices())


def test_a_process_sees_the_cores_it_may_use_and_its_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    seen = sight_of(7)
    assert (seen.rank, seen.cores) == (7, os.sched_getaffinity(0))
    assert seen.devices.ids == ("2", "3")
