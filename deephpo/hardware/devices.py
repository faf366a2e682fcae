"""Which accelerators a worker's trials own.

Frameworks read the variables once, when they start, and then take every device that they see.  So who owns
what is settled before: each worker looks at what it sees, what those of one node see is shared out among
them, and the trials' process starts with variables that show it its own devices and no other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import Any

from deephpo.errors import LaunchError


class Kind(StrEnum):
    """Whose devices, by the runtime that hands them to the frameworks."""

    CUDA = "cuda"
    ROCR = "rocr"
    ZE = "ze"
    NONE = "none"


VARIABLES = {
    Kind.CUDA: "CUDA_VISIBLE_DEVICES",
    Kind.ROCR: "ROCR_VISIBLE_DEVICES",
    Kind.ZE: "ZE_AFFINITY_MASK",
}
"""The variable that shows a process its devices: NVIDIA's, AMD's, Intel's."""

_PROC = "proc/driver/nvidia/gpus"
_KFD = "sys/class/kfd/kfd/topology/nodes"
_ABOVE_ROCR = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
"""What HIP reads after ROCR_VISIBLE_DEVICES: numbers among the devices that are left."""
_ID = re.compile(r"\d+(\.\d+)*|(GPU|MIG)-.+")
_GROW_AS_NEEDED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@dataclass(frozen=True)
class Device:
    """One accelerator, or one slice of it that is handed out by itself."""

    id: str
    """As the variable takes it: a number, a UUID, or a device's number and its tile's."""
    identity: str
    """What tells it from the others of the node where two workers know different ones by the same number:
    the PCI address (NVIDIA), the UUID (a slice by MIG), the kfd node (AMD); else the id again."""
    name: str = ""
    """The model; empty if nothing tells it."""
    uuid: str = ""
    """Another name that the variable takes; empty if nothing tells it."""


@dataclass(frozen=True)
class Devices:
    """Accelerators of one kind, in the order in which the trials see them."""

    kind: Kind = Kind.NONE
    each: tuple[Device, ...] = ()
    found_by: str = ""
    """What told of them: a variable, NVML, or a directory of the kernel; empty if nothing did."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The devices as their variable takes them."""
        return tuple(device.id for device in self.each)

    @property
    def in_trial(self) -> str:
        """The first device as a trial that owns these calls it: ``"gpu:0"``, ``"xpu:0"`` (Intel), ``"cpu"``.

        Always 0, as a trial sees its own devices only, whatever their numbers on the node.  The name is
        Keras's: ``keras.device`` takes it with every backend, and ``tf.device`` does; for PyTorch, which says
        "cuda" for AMD's too, write ``ctx.device.replace("gpu", "cuda")``.  TensorFlow and JAX, and Keras with
        any backend, use this device without being told.
        """
        if not self.each:
            return "cpu"
        return "xpu:0" if self.kind is Kind.ZE else "gpu:0"


def visible_devices(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Devices:
    """Return the accelerators that a framework started here, with these variables, would see.

    A list in a vendor's variable is taken at its word, and read as the vendor reads it: up to the first entry
    that names nothing (``-1``, Slurm's ``NoDevFiles``).  Without the variable NVIDIA's devices are counted by
    NVML, else in /proc, and AMD's in /sys.  Intel's are never counted, as how many a process sees depends on
    tiles and modes that only its runtime knows: on such machines set ZE_AFFINITY_MASK for each rank.

    root: where /proc, /sys and /dev are.
    """
    nvidia, nvidia_by = _nvidia_devices(root)
    amd = tuple(_amd_devices(root))
    seen = [
        _listed(Kind.CUDA, nvidia, nvidia_by, environment),
        _listed(Kind.ROCR, amd, f"/{_KFD}", environment),
        _listed(Kind.ZE, (), "", environment),
    ]
    # A Slurm that was not told the vendor sets the variables of all: then what is in the machine decides.
    here = [devices for devices, inventory in zip(seen, (nvidia, amd, ()), strict=True) if inventory] or seen
    hidden = next((devices for devices in here if devices.found_by), Devices())
    return next((devices for devices in here if devices.each), hidden)


def share_out(seen: Sequence[Devices], share: bool) -> list[Devices]:
    """Return what each worker of one node owns of what it sees; both in the order of the workers.

    Workers that see the same g devices, w of them, get g // w each, neighbours in the list; those that see
    devices of their own, since the scheduler bound them, keep these.  Where sets overlap, the smallest is
    served first, and the others are what is left of them.  share: whether several workers may own the same
    device; if they must, the i-th of w gets the device i * g // w.  Raises LaunchError if they must but may
    not.
    """
    groups: dict[frozenset[str], list[int]] = {}
    for worker, devices in enumerate(seen):
        groups.setdefault(frozenset(device.identity for device in devices.each), []).append(worker)
    owned = list(seen)
    taken: set[str] = set()
    for identities, workers in sorted(groups.items(), key=lambda group: len(group[0])):
        # All go by one order: theirs may differ, and so may the numbers that they know the devices by.
        order = [device.identity for device in seen[workers[0]].each]
        free = [identity for identity in order if identity not in taken]
        if identities and len(free) < len(workers) and not share:
            raise LaunchError(_too_many(len(workers), len(free), seen[workers[0]]))
        blocks = _blocks(free if len(free) >= len(workers) else order, len(workers))
        for worker, block in zip(workers, blocks, strict=True):
            own = {device.identity: device for device in seen[worker].each}
            owned[worker] = replace(seen[worker], each=tuple(own[identity] for identity in block))
        taken.update(*blocks)
    return owned


def environment_of(devices: Devices, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return variables for a process that is to use these devices and no other; none if there are none.

    TensorFlow and JAX then take memory as they need it instead of all at once, which is also all that several
    trials on one device need.  environment: what the process inherits; what the user set there stays, but for
    the lists of devices.
    """
    if not devices.each:
        return {}
    defaults = dict(_GROW_AS_NEEDED)
    variable = VARIABLES[devices.kind]
    if devices.kind is Kind.CUDA and variable not in environment:
        defaults["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # in which they were counted
    lists = {variable: ",".join(devices.ids)}
    if devices.kind is Kind.ROCR:
        left = ",".join(str(number) for number in range(len(devices.each)))
        lists |= {name: left for name in _ABOVE_ROCR if name in environment}
    return lists | {name: value for name, value in defaults.items() if name not in environment}


def _blocks(order: list[str], workers: int) -> list[list[str]]:
    each = len(order) // workers
    if each or not order:
        return [order[i * each : (i + 1) * each] for i in range(workers)]
    return [[order[i * len(order) // workers]] for i in range(workers)]


def _too_many(workers: int, free: int, seen: Devices) -> str:
    many = f"{len(seen.each)} GPUs" if len(seen.each) > 1 else "1 GPU"
    others = f", {len(seen.each) - free} of which others have" if free < len(seen.each) else ""
    cures = [f"start {'at most ' + str(free) if free else 'fewer'} there", "let them share with --share-gpus"]
    if seen.kind is not Kind.ZE:  # an empty mask is no promise there
        cures.append(f"set {VARIABLES[seen.kind]}= (to nothing) if the trials need none")
    return (
        f"Each worker needs a GPU of its own, but {workers} workers on one node see the same {many} "
        f"({', '.join(seen.ids)}{others}): {', '.join(cures[:-1])}, or {cures[-1]}."
    )


def _listed(kind: Kind, here: tuple[Device, ...], by: str, environment: Mapping[str, str]) -> Devices:
    """Return the devices of a kind that the variables leave visible of those that are here."""
    if VARIABLES[kind] in environment:
        by = VARIABLES[kind]
        here = tuple(_named(id, here) for id in _ids(environment[by]))
    if kind is Kind.ROCR:
        above = next((name for name in _ABOVE_ROCR if name in environment), None)
        # The very list of ROCR_VISIBLE_DEVICES again is a scheduler's, who means the same devices by it.
        if here and above and environment[above] != environment.get(VARIABLES[kind]):
            by, here = above, tuple(_chosen(_ids(environment[above]), here))
    return Devices(kind, here, by) if here else Devices(found_by=by if by in environment else "")


def _ids(listed: str) -> list[str]:
    return list(takewhile(_ID.fullmatch, (entry.strip() for entry in listed.split(","))))


def _named(id: str, here: tuple[Device, ...]) -> Device:
    """Return the device that an entry of a variable means; a UUID may be cut short."""
    for device in here:
        if device.id == id or device.uuid.lower().startswith(id.lower()):
            return replace(device, id=id)
    return Device(id, id)


def _chosen(ids: list[str], here: tuple[Device, ...]) -> Iterator[Device]:
    """Yield the devices that HIP leaves of those that it is left with."""
    called = {device.uuid.lower(): device for device in here}
    called |= {str(number): device for number, device in enumerate(here)}
    for id in takewhile(called.__contains__, (id.lower() for id in ids)):
        yield called[id]


def _nvidia_devices(root: Path) -> tuple[tuple[Device, ...], str]:
    """Return NVIDIA's devices that this process may use, ordered by PCI address, and who told of them."""
    devices = tuple(_ask_nvml())
    return (devices, "NVML") if devices else (tuple(_read_proc(root)), f"/{_PROC}")


def _ask_nvml() -> list[Device]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return _gpus_and_slices(pynvml)
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _gpus_and_slices(nvml: Any) -> list[Device]:
    """Return the whole GPUs, and the slices of those that MIG has cut up."""
    gpus: list[Device] = []
    slices: list[Device] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError:  # a scheduler keeps it from this process, and CUDA does not count it
            continue
        name, uuid = str(nvml.nvmlDeviceGetName(gpu)), str(nvml.nvmlDeviceGetUUID(gpu))
        if _is_cut_up(nvml, gpu):
            slices += [Device(part, part, f"{name}, a slice", part) for part in _slices(nvml, gpu)]
        else:
            address = _pci_address(nvml.nvmlDeviceGetPciInfo(gpu).busId)
            gpus.append(Device(str(len(gpus)), address, name, uuid))
    # Beside slices the numbers mean something else to CUDA than to NVML, UUIDs the same.
    return [replace(gpu, id=gpu.uuid) for gpu in gpus] + slices if slices else gpus


def _is_cut_up(nvml: Any, gpu: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(gpu)[0])
    except nvml.NVMLError:  # most models know no MIG
        return False


def _slices(nvml: Any, gpu: Any) -> Iterator[str]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            yield str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)))
        except nvml.NVMLError:  # no slice has this number
            continue


def _pci_address(bus_id: str) -> str:
    """Return the address as the kernel writes it; NVML pads its first part, the domain, to eight digits."""
    domain, rest = bus_id.lower().split(":", 1)
    return f"{int(domain, 16):04x}:{rest}"


def _read_proc(root: Path) -> Iterator[Device]:
    number = 0
    for folder in sorted((root / _PROC).glob("*")):
        about = _fields(folder / "information", ":")
        device_file = root / "dev" / f"nvidia{about.get('Device Minor')}"
        # /proc tells of all; which of them a scheduler keeps from this process only their files know.
        if about.get("GPU Excluded") == "Yes" or not os.access(device_file, os.R_OK | os.W_OK):
            continue
        uuid = about.get("GPU UUID", "")
        # Until somebody uses the device its UUID is shown as question marks.
        yield Device(str(number), folder.name, about.get("Model", ""), "" if "?" in uuid else uuid)
        number += 1


def _amd_devices(root: Path) -> Iterator[Device]:
    if not os.access(root / "dev/kfd", os.R_OK | os.W_OK):  # without it nobody computes on them
        return
    number = 0
    for node in sorted((root / _KFD).glob("[0-9]*"), key=lambda path: int(path.name)):
        about = _fields(node / "properties", " ")  # empty if a scheduler keeps the device from this process
        if int(about.get("simd_count", 0)) == 0:
            continue
        version, unique = int(about.get("gfx_target_version", 0)), int(about.get("unique_id", 0))
        name = f"AMD gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else "AMD"
        yield Device(str(number), f"kfd node {node.name}", name, f"GPU-{unique:016x}" if unique else "")
        number += 1


def _fields(path: Path, separator: str) -> dict[str, str]:
    """Return what a file of the kernel tells, a name and a value in each line; nothing if it is closed."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    parts = (line.partition(separator) for line in lines)
    return {name.strip(): value.strip() for name, _, value in parts}
