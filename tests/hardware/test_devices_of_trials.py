"""What the trials' process is told of the accelerators that its worker owns."""

import pickle

import pytest

from deephpo.hardware.devices import Device, Devices, Kind, environment_of, share_out, visible_devices
from tests.hardware.nvml_stand_in import SLICE

GROWTH = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def owning(kind, *ids):
    return Devices(kind, tuple(Device(id, id) for id in ids), "")


@pytest.mark.parametrize(
    ("devices", "environment", "variables"),
    [
        (Devices(), {}, {}),
        (Devices(found_by="CUDA_VISIBLE_DEVICES"), {"CUDA_VISIBLE_DEVICES": ""}, {}),
        # counted ones go by the order in which they were counted
        (
            owning(Kind.CUDA, "2", "3"),
            {},
            {"CUDA_VISIBLE_DEVICES": "2,3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **GROWTH},
        ),
        (owning(Kind.CUDA, "2"), {"CUDA_VISIBLE_DEVICES": "2,3"}, {"CUDA_VISIBLE_DEVICES": "2", **GROWTH}),
        (
            owning(Kind.CUDA, "2"),
            {
                "CUDA_DEVICE_ORDER": "FASTEST_FIRST",
                "TF_FORCE_GPU_ALLOW_GROWTH": "false",
                "XLA_PYTHON_CLIENT_PREALLOCATE": "true",
            },
            {"CUDA_VISIBLE_DEVICES": "2"},
        ),
        (owning(Kind.ROCR, "5"), {}, {"ROCR_VISIBLE_DEVICES": "5", **GROWTH}),
        # what HIP reads next counts from 0 again
        (
            owning(Kind.ROCR, "5", "6"),
            {"CUDA_VISIBLE_DEVICES": "4,5,6,7", "HIP_VISIBLE_DEVICES": "0,1,2,3", "ZE_AFFINITY_MASK": "5"},
            {
                "ROCR_VISIBLE_DEVICES": "5,6",
                "CUDA_VISIBLE_DEVICES": "0,1",
                "HIP_VISIBLE_DEVICES": "0,1",
                **GROWTH,
            },
        ),
        (owning(Kind.ZE, "3.1"), {}, {"ZE_AFFINITY_MASK": "3.1", **GROWTH}),
    ],
)
def test_a_process_sees_its_own_devices(devices, environment, variables):
    assert environment_of(devices, environment) == variables


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"ROCR_VISIBLE_DEVICES": "3,1"},
        {"HIP_VISIBLE_DEVICES": "2,0"},
        {"CUDA_VISIBLE_DEVICES": "3,2,1,0"},
    ],
)
def test_what_a_process_is_shown_is_what_it_owns(environment, amd):
    root = amd(1, 2, 3, 4)
    for owned in share_out([visible_devices(environment, root)] * 2, share=False):
        shown = visible_devices(environment | environment_of(owned, environment), root)
        assert shown.each == owned.each


@pytest.mark.parametrize(
    ("devices", "called"),
    [
        (Devices(), "cpu"),
        (owning(Kind.CUDA, "3"), "gpu:0"),
        (owning(Kind.CUDA, SLICE), "gpu:0"),
        (owning(Kind.ROCR, "6", "7"), "gpu:0"),
        (owning(Kind.ZE, "1.1"), "xpu:0"),
    ],
)
def test_a_trial_calls_its_first_device_0(devices, called):
    assert devices.in_trial == called


def test_devices_travel_between_ranks():
    devices = owning(Kind.CUDA, "0", "1")
    assert pickle.loads(pickle.dumps(devices)) == devices
