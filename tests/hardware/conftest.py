"""Nodes with accelerators.  No machine that runs these tests need have one.

/proc, /sys and /dev are directories made here, as the kernel's documents and real nodes show them; NVML is
nvml_stand_in.py.
"""

import sys

import pytest

from tests.hardware.nvml_stand_in import FakeNvml


@pytest.fixture
def nvml(monkeypatch):
    """Return a function that puts the stand-in in the place of pynvml."""

    def put(*gpus, broken=False):
        monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(*gpus, broken=broken))
        return sys.modules["pynvml"]

    return put


@pytest.fixture(autouse=True)
def _without_nvml(monkeypatch):
    """Keep the machine's own NVML out of it."""
    monkeypatch.setitem(sys.modules, "pynvml", None)


@pytest.fixture
def nvidia(tmp_path):
    """Return a function that makes a node of NVIDIA GPUs: their UUIDs, and those whose files we may open."""

    def make(*uuids, open_to_us=None, excluded=()):
        for minor, uuid in enumerate(uuids):
            folder = tmp_path / f"proc/driver/nvidia/gpus/0000:{minor + 1:02x}:00.0"
            folder.mkdir(parents=True)
            (folder / "information").write_text(
                f"Model: \t\t NVIDIA H100\nIRQ:   \t\t 310\nGPU UUID: \t {uuid}\nBus Type: \t PCIe\n"
                f"Bus Location: \t 0000:{minor + 1:02x}:00.0\nDevice Minor: \t {minor}\n"
                f"GPU Excluded:\t {'Yes' if minor in excluded else 'No'}\n"
            )
            if open_to_us is None or minor in open_to_us:
                (tmp_path / "dev").mkdir(exist_ok=True)
                (tmp_path / f"dev/nvidia{minor}").touch()
        return tmp_path

    return make


@pytest.fixture
def amd(tmp_path):
    """Return a function that makes a node of two processors and AMD GPUs; "kept" is one of another job."""

    def make(*gpus, kfd=True):
        nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
        for number, unique in enumerate([None, None, *gpus]):
            (nodes / str(number)).mkdir(parents=True)
            if unique != "kept":  # the kernel's answer then is EPERM, which root cannot be given by a mode
                (nodes / str(number) / "properties").write_text(
                    f"simd_count {0 if unique is None else 440}\nlocation_id {number * 256}\n"
                    f"gfx_target_version 90010\nunique_id {unique or 0}\n"
                )
        (tmp_path / "dev").mkdir()
        if kfd:
            (tmp_path / "dev/kfd").touch()
        return tmp_path

    return make
