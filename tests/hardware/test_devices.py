"""Who owns which accelerator.  No machine that runs these tests need have one.

/proc, /sys and /dev are directories made here, as the kernel's documents and real nodes show them.  NVML
cannot be made so, and does not start without a driver: its stand-in has the functions of nvidia-ml-py
that are called.
"""

# ruff: noqa: N802  (the names are NVML's)

import pickle
import sys
from types import SimpleNamespace

import pytest

from deephpo.errors import LaunchError
from deephpo.hardware.devices import Device, Devices, Kind, environment_of, share_out, visible_devices

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


def told(devices):
    return devices.kind, devices.ids, tuple(device.identity for device in devices.each), devices.found_by


NOTHING = ("none", (), (), "")


# What is seen: by the variables alone


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


# What is seen: NVIDIA


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


# What is seen: AMD


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


# Who owns what


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


# What the trials' process is told


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
