"""NVML cannot be made of files, and does not start without a driver: what stands in its place.

It has the functions of nvidia-ml-py that are called, and knows the GPUs and slices named here.
"""

# ruff: noqa: N802  (the names are NVML's)

from types import SimpleNamespace

A, B, C, D = (f"GPU-{letter * 8}-0000-0000-0000-000000000000" for letter in "abcd")
SLICE = "MIG-11111111-0000-0000-0000-00000000000"


class NVMLError(Exception):
    """As pynvml's."""


class FakeNvml(SimpleNamespace):
    """NVML where each GPU is a UUID, None if a cgroup keeps it from us, or the slices that MIG made of it."""

    NVMLError = NVMLError

    def __init__(self, *gpus, broken=False):
        super().__init__(gpus=gpus, broken=broken, open=0)

    def nvmlInit(self):
        if self.broken:
            raise NVMLError("NVML Shared Library Not Found")
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        if self.gpus[index] is None:
            raise NVMLError("Insufficient Permissions")
        return index

    def nvmlDeviceGetName(self, handle):
        return "NVIDIA A100"

    def nvmlDeviceGetUUID(self, handle):
        if isinstance(handle, str):
            return handle
        return self.gpus[handle] if isinstance(self.gpus[handle], str) else f"GPU-cut-{handle}"

    def nvmlDeviceGetPciInfo(self, handle):
        return SimpleNamespace(busId=f"00000000:{handle + 1:02X}:00.0")

    def nvmlDeviceGetMigMode(self, handle):
        if self.gpus[handle] == D:
            raise NVMLError("Not Supported")
        return [int(not isinstance(self.gpus[handle], str))] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, index):
        if index >= len(self.gpus[handle]):
            raise NVMLError("Not Found")
        return self.gpus[handle][index]
