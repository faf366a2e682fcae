"""Who owns which accelerator, and when there are too few."""

import pytest

from deephpo.errors import LaunchError
from deephpo.hardware.devices import Device, Devices, Kind, share_out, visible_devices
from tests.hardware.nvml_stand_in import A, B


def seen_by(spec):
    """Return devices from the letters that are their identities, numbered as they come."""
    each = tuple(Device(str(number), identity) for number, identity in enumerate(spec))
    return Devices(Kind.CUDA, each, "NVML") if each else Devices()


def owners(*specs, share=False):
    """Return what each of these workers owns, as identities."""
    owned = share_out([seen_by(spec) for spec in specs], share)
    return ["".join(device.identity for device in devices.each) for devices in owned]


@pytest.mark.parametrize(
    ("specs", "owned"),
    [
        ([], []),
        ([""], [""]),
        (["", "", ""], ["", "", ""]),
        (["abcd"], ["abcd"]),
        (["abcd"] * 2, ["ab", "cd"]),
        (["abcd"] * 3, ["a", "b", "c"]),
        (["abcd"] * 4, ["a", "b", "c", "d"]),
        (["abcdefgh"] * 3, ["ab", "cd", "ef"]),
        # bound by the scheduler
        (["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        (["ab", "cd"], ["ab", "cd"]),
        (["ab", "cd", "ab", "cd"], ["a", "c", "b", "d"]),
        # in another order the same are the same
        (["abcd", "dcba"], ["ab", "cd"]),
        # some bound, others not
        (["abcd", "abcd", "a", "abcd"], ["b", "c", "a", "d"]),
        (["abcdef", "a", "abcdef"], ["bc", "a", "de"]),
        (["ab", "bc", "cd"], ["ab", "c", "d"]),
        # a worker without, beside workers with
        (["", "ab", "ab"], ["", "a", "b"]),
    ],
)
def test_devices_are_shared_out(specs, owned):
    assert owners(*specs) == owned
    assert owners(*specs, share=True) == owned


def test_a_worker_knows_its_device_by_its_own_number():
    turned = Devices(Kind.CUDA, (Device("0", "b"), Device("1", "a")), "NVML")
    first, second = share_out([seen_by("ab"), turned], share=False)
    assert (first.each, second.each) == ((Device("0", "a"),), (Device("0", "b"),))
    assert second.found_by == "NVML"


def test_ranks_that_the_scheduler_bound_all_call_theirs_0(nvml, tmp_path):
    seen = []
    for left_by_the_cgroup in [(A, None), (None, B)]:
        nvml(*left_by_the_cgroup)
        seen.append(visible_devices({"CUDA_VISIBLE_DEVICES": "0"}, tmp_path))
    assert share_out(seen, share=False) == seen
    assert [devices.ids for devices in seen] == [("0",), ("0",)]


@pytest.mark.parametrize(
    ("specs", "owned"),
    [
        (["a"] * 3, ["a", "a", "a"]),
        (["ab"] * 3, ["a", "a", "b"]),
        (["ab"] * 4, ["a", "a", "b", "b"]),
        (["abcd"] * 5, ["a", "a", "b", "c", "d"]),
        (["abcd"] * 8, ["a", "a", "b", "b", "c", "c", "d", "d"]),
        (["a", "b", "a"], ["a", "b", "a"]),
        (["ab", "a", "ab"], ["a", "a", "b"]),
    ],
)
def test_several_workers_own_one_device_only_if_asked_to(specs, owned):
    assert owners(*specs, share=True) == owned
    with pytest.raises(LaunchError):
        owners(*specs)


@pytest.mark.parametrize("workers", range(1, 20))
@pytest.mark.parametrize("gpus", range(1, 9))
def test_shared_devices_are_all_used_and_none_much_more_than_another(workers, gpus):
    owned = "".join(owners(*["abcdefgh"[:gpus]] * workers, share=True))
    uses = [owned.count(device) for device in "abcdefgh"[:gpus]]
    if workers >= gpus:
        assert sum(uses) == workers
        assert max(uses) - min(uses) <= 1
    else:
        assert max(uses) == 1
        assert sum(uses) == gpus // workers * workers


def test_too_many_workers_are_refused_with_the_cures():
    with pytest.raises(LaunchError) as refused:
        owners(*["abcd"] * 5)
    assert str(refused.value) == (
        "Each worker needs a GPU of its own, but 5 workers on one node see the same 4 GPUs (0, 1, 2, 3): "
        "start at most 4 there, let them share with --share-gpus, or set CUDA_VISIBLE_DEVICES= (to nothing) "
        "if the trials need none."
    )


def test_what_others_have_is_said():
    with pytest.raises(
        LaunchError, match=r"2 workers on one node see the same 2 GPUs \(0, 1, 1 of which others"
    ):
        owners("ab", "a", "ab")
    with pytest.raises(LaunchError, match=r"see the same 1 GPU \(0\): start at most 1 there"):
        owners("a", "a")


def test_intels_mask_is_not_said_to_hide_when_empty():
    intel = Devices(Kind.ZE, (Device("0.0", "0.0"),), "ZE_AFFINITY_MASK")
    with pytest.raises(LaunchError, match=r"at most 1 there, or let them share with --share-gpus\.$"):
        share_out([intel, intel], share=False)
