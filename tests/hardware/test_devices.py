"""Which accelerators are seen: by the variables, by NVML, and by the kernel."""

import pytest

from deephpo.hardware.devices import Device, Devices, Kind, visible_devices
from tests.hardware.nvml_stand_in import SLICE, A, B, C, D


def told(devices):
    return devices.kind, devices.ids, tuple(device.identity for device in devices.each), devices.found_by


NOTHING = ("none", (), (), "")


# By the variables alone


@pytest.mark.parametrize(
    ("environment", "kind", "ids", "found_by"),
    [
        ({}, "none", (), ""),
        ({"CUDA_VISIBLE_DEVICES": "0"}, "cuda", ("0",), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": "3, 1 ,0"}, "cuda", ("3", "1", "0"), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": f"{A},{B}"}, "cuda", (A, B), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": SLICE}, "cuda", (SLICE,), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": f"MIG-{A}/1/0"}, "cuda", (f"MIG-{A}/1/0",), "CUDA_VISIBLE_DEVICES"),
        # CUDA reads up to the first entry that is none
        ({"CUDA_VISIBLE_DEVICES": "0,2,-1,1"}, "cuda", ("0", "2"), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": "0,,1"}, "cuda", ("0",), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "none", (), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, "none", (), "CUDA_VISIBLE_DEVICES"),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, "none", (), "CUDA_VISIBLE_DEVICES"),
        ({"ROCR_VISIBLE_DEVICES": "4,5"}, "rocr", ("4", "5"), "ROCR_VISIBLE_DEVICES"),
        ({"ROCR_VISIBLE_DEVICES": ""}, "none", (), "ROCR_VISIBLE_DEVICES"),
        ({"ZE_AFFINITY_MASK": "0.0,0.1,1"}, "ze", ("0.0", "0.1", "1"), "ZE_AFFINITY_MASK"),
        # a Slurm that was not told the vendor sets all of them
        (
            dict.fromkeys(("ZE_AFFINITY_MASK", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"), "2"),
            "cuda",
            ("2",),
            "CUDA_VISIBLE_DEVICES",
        ),
        ({"CUDA_VISIBLE_DEVICES": "", "ZE_AFFINITY_MASK": "3"}, "ze", ("3",), "ZE_AFFINITY_MASK"),
        # names without ROCm below them show nothing
        ({"HIP_VISIBLE_DEVICES": "0", "GPU_DEVICE_ORDINAL": "0"}, "none", (), ""),
    ],
)
def test_a_variable_is_taken_at_its_word(environment, kind, ids, found_by, tmp_path):
    assert told(visible_devices(environment, tmp_path)) == (kind, ids, ids, found_by)


def test_where_there_is_nothing_nothing_is_seen():
    assert visible_devices({}).each == () or visible_devices({}).found_by


# NVIDIA


def test_nvml_counts_what_no_variable_lists(nvml, tmp_path):
    library = nvml(A, B)
    seen = visible_devices({}, tmp_path)
    assert seen == Devices(
        Kind.CUDA,
        (Device("0", "0000:01:00.0", "NVIDIA A100", A), Device("1", "0000:02:00.0", "NVIDIA A100", B)),
        "NVML",
    )
    assert library.open == 0


def test_cuda_numbers_only_those_that_a_cgroup_leaves(nvml, tmp_path):
    nvml(None, B, None, D)
    assert told(visible_devices({}, tmp_path)) == (
        "cuda",
        ("0", "1"),
        ("0000:02:00.0", "0000:04:00.0"),
        "NVML",
    )


@pytest.mark.parametrize(
    ("listed", "identity"), [("1", "0000:02:00.0"), (B, "0000:02:00.0"), ("GPU-bb", "0000:02:00.0")]
)
def test_a_listed_device_is_known_by_its_place(listed, identity, nvml, tmp_path):
    nvml(A, B)
    seen = visible_devices({"CUDA_VISIBLE_DEVICES": listed}, tmp_path)
    assert told(seen) == ("cuda", (listed,), (identity,), "CUDA_VISIBLE_DEVICES")
    assert seen.each[0].name == "NVIDIA A100"


def test_a_listed_device_that_nobody_knows_is_itself(nvml, tmp_path):
    nvml(A, B)
    assert told(visible_devices({"CUDA_VISIBLE_DEVICES": "7"}, tmp_path))[1:3] == (("7",), ("7",))


def test_slices_count_each_and_whole_gpus_beside_them_go_by_uuid(nvml, tmp_path):
    nvml(A, [SLICE + "1", SLICE + "2"], [])
    seen = visible_devices({}, tmp_path)
    assert seen.ids == (A, SLICE + "1", SLICE + "2")
    assert [device.identity for device in seen.each] == ["0000:01:00.0", SLICE + "1", SLICE + "2"]
    assert seen.each[1].name == "NVIDIA A100, a slice"


@pytest.mark.parametrize("broken", [True, False])
def test_without_nvml_the_kernel_counts(broken, nvml, nvidia):
    if broken:
        nvml(broken=True)
    seen = visible_devices({}, nvidia(A, B))
    assert told(seen) == ("cuda", ("0", "1"), ("0000:01:00.0", "0000:02:00.0"), "/proc/driver/nvidia/gpus")
    assert (seen.each[0].name, seen.each[1].uuid) == ("NVIDIA H100", B)


def test_of_the_kernels_list_only_what_may_be_opened_counts(nvidia):
    root = nvidia(A, B, C, D, open_to_us={1, 2, 3}, excluded={3})
    assert told(visible_devices({}, root))[1:3] == (("0", "1"), ("0000:02:00.0", "0000:03:00.0"))


def test_a_device_that_nobody_used_yet_has_no_uuid_but_a_place(nvidia):
    seen = visible_devices({"CUDA_VISIBLE_DEVICES": "0"}, nvidia("GPU-????????-????-????-????-????????????"))
    assert seen.each == (Device("0", "0000:01:00.0", "NVIDIA H100", ""),)


def test_devices_that_are_hidden_are_not_seen(nvidia):
    assert told(visible_devices({"CUDA_VISIBLE_DEVICES": ""}, nvidia(A))) == (
        "none",
        (),
        (),
        "CUDA_VISIBLE_DEVICES",
    )


# AMD


def test_the_kernel_counts_amds_devices(amd):
    seen = visible_devices({}, amd(0xDEADBEEF, 0))
    assert told(seen) == (
        "rocr",
        ("0", "1"),
        ("kfd node 2", "kfd node 3"),
        "/sys/class/kfd/kfd/topology/nodes",
    )
    assert seen.each[0] == Device("0", "kfd node 2", "AMD gfx90a", "GPU-00000000deadbeef")
    assert seen.each[1].uuid == ""


def test_amds_devices_of_other_jobs_are_not_counted(amd):
    assert told(visible_devices({}, amd("kept", 2, "kept", 4)))[1:3] == (
        ("0", "1"),
        ("kfd node 3", "kfd node 5"),
    )


def test_devices_that_cannot_compute_are_none(amd):
    assert told(visible_devices({}, amd(1, 2, kfd=False))) == NOTHING


@pytest.mark.parametrize(
    ("environment", "ids", "nodes"),
    [
        ({"ROCR_VISIBLE_DEVICES": "2,3"}, "23", "45"),
        ({"ROCR_VISIBLE_DEVICES": "GPU-0000000000000003"}, ["GPU-0000000000000003"], "4"),
        ({"HIP_VISIBLE_DEVICES": "1"}, "1", "3"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "1", "3"),
        ({"GPU_DEVICE_ORDINAL": "1,0"}, "10", "32"),
        ({"HIP_VISIBLE_DEVICES": "GPU-0000000000000002"}, "1", "3"),
        # HIP numbers what ROCR leaves
        ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1"}, "3", "5"),
        ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1,2,0"}, "3", "5"),
        ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, "2", "4"),
        # schedulers set both to the same numbers
        ({"ROCR_VISIBLE_DEVICES": "3", "CUDA_VISIBLE_DEVICES": "3"}, "3", "5"),
        ({"ROCR_VISIBLE_DEVICES": "3", "ZE_AFFINITY_MASK": "3"}, "3", "5"),
    ],
)
def test_amds_variables_stand_on_each_other(environment, ids, nodes, amd):
    seen = visible_devices(environment, amd(1, 2, 3, 4))
    assert told(seen)[:3] == ("rocr", tuple(ids), tuple(f"kfd node {node}" for node in nodes))


@pytest.mark.parametrize("name", ["ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"])
def test_amds_devices_are_hidden_by_any_of_them(name, amd):
    assert told(visible_devices({name: ""}, amd(1, 2))) == ("none", (), (), name)


def test_what_is_in_the_machine_decides_whose_variable_counts(amd):
    environment = {"CUDA_VISIBLE_DEVICES": "1", "ROCR_VISIBLE_DEVICES": "1", "ZE_AFFINITY_MASK": "1"}
    assert visible_devices(environment, amd(1, 2)).kind is Kind.ROCR
