"""``deephpo doctor``: what is installed here, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from typing import Any

from deephpo import __version__
from deephpo.drivers.launch import launch_of
from deephpo.errors import how_to_install
from deephpo.hardware.devices import visible_devices
from deephpo.report.summary import table
from deephpo.schedulers.job import job_line

DESCRIPTION = """Show what this machine offers to a search: packages, MPI, cores, GPUs, the batch system.
Started by mpirun or srun, as a search would be, show which rank is where, with which GPU and cores, and what
is wrong with that."""

_OPTIONAL = (
    # package, module, what it is for, the extra that brings it
    ("mpi4py", "mpi4py", "searching over MPI", "openmpi"),
    ("matplotlib", "matplotlib", "the picture at the end", "plot"),
    ("tensorflow", "tensorflow", "Keras problems such as problems/digits_cnn.py", "tensorflow"),
    ("cmaes", "cmaes", "--search cma-es", "cmaes"),
    ("ConfigSpace", "ConfigSpace", "problems that declare a ConfigurationSpace", "configspace"),
    ("nvidia-ml-py", "pynvml", "seeing NVIDIA GPUs", "gpu"),
)

_MPI_PROBE = """
import mpi4py, json
mpi4py.rc.initialize = False
from mpi4py import MPI
print(json.dumps(MPI.Get_library_version().splitlines()[0].split(", package")[0]))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; returns the exit code."""
    if launch_of().size > 1:
        return _examine_placement(arguments.json)
    findings = examine()
    if arguments.json:
        print(json.dumps(findings))
    else:
        print("\n".join(_lines(findings)))
    return 0


def _examine_placement(as_json: bool) -> int:
    """Print, on the first of the ranks that a launcher started, who is where; returns the exit code."""
    from deephpo.cli.placement import look_around, placement_lines

    world, found = look_around()
    if found:
        print(json.dumps(found) if as_json else "\n".join(placement_lines(found)), flush=True)
    return world.leave(0)


def examine() -> dict[str, Any]:
    """Return what was found, as plain values."""
    from deephpo.cli.provenance import installed_versions
    from deephpo.drivers.local import cores_here

    launch = launch_of()
    return {
        "deephpo": __version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "cores": cores_here(),
        "packages": installed_versions(),
        "missing": [
            {"package": package, "for": purpose, "extra": extra, "install": how_to_install(extra)}
            for package, module, purpose, extra in _OPTIONAL
            if find_spec(module) is None
        ],
        "mpi": _mpi_library(),
        "mpirun": shutil.which("mpirun") or _beside_python("mpirun"),
        "horovod": find_spec("horovod") is not None,
        "gpus": _gpus(),
        "scheduler": _scheduler(),
        "launch": {"launcher": launch.launcher, "tasks": launch.size, "rank": launch.rank},
    }


def _mpi_library() -> str | None:
    """Return the MPI library that mpi4py finds; asked in a child, since a bad one may crash."""
    command = [sys.executable, "-c", _MPI_PROBE]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return str(json.loads(answer.stdout))
    except (subprocess.SubprocessError, ValueError):
        return None


def _beside_python(name: str) -> str | None:
    path = os.path.join(os.path.dirname(sys.executable), name)
    return path if os.access(path, os.X_OK) else None


def _gpus() -> dict[str, Any]:
    """Return what a trial that were started here would see of GPUs, and who says so."""
    seen = visible_devices()
    return {
        "kind": seen.kind.value,
        "ids": list(seen.ids),
        "names": [device.name for device in seen.each],
        "found_by": seen.found_by,
        "nvml": _silence_of_nvml(),
    }


def _silence_of_nvml() -> str | None:
    """Return why NVML, NVIDIA's way to ask for GPUs, tells nothing; None if it does, or nobody can ask it."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return str(error)
    pynvml.nvmlShutdown()
    return None


def _scheduler() -> str | None:
    if (job := job_line()) is not None:
        return job
    if "LSB_JOBID" in os.environ:
        return f"LSF job {os.environ['LSB_JOBID']}"
    return next(
        (name for name, command in (("Slurm", "sbatch"), ("PBS", "qsub")) if shutil.which(command)), None
    )


def _lines(findings: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {number}" for name, number in findings["packages"].items())
    mpi = findings["mpi"] or "no library found: load the site's MPI module, or install the extra openmpi"
    horovod = "installed" if findings["horovod"] else "not installed: in a clone, make horovod builds it"
    launch = findings["launch"]
    lines = [
        f"deephpo     {findings['deephpo']} on Python {findings['python']}",
        f"host        {findings['host']}, {findings['cores']} cores",
        f"packages    {packages}",
        f"MPI         {mpi}",
        f"mpirun      {findings['mpirun'] or 'not found'}",
        f"Horovod     {horovod}",
        f"GPUs        {_line_of_gpus(findings['gpus'])}",
        f"scheduler   {findings['scheduler'] or 'none seen'}",
        f"started by  {launch['launcher']}, rank {launch['rank']} of {launch['tasks']}",
    ]
    if findings["missing"]:
        missing = [(m["package"], m["for"], m["extra"]) for m in findings["missing"]]
        lines += [
            "",
            "Not installed:",
            *table(("package", "what it would be for", "extra"), missing, [False] * 3),
        ]
        lines += ["", f"An extra is installed by {how_to_install('EXTRA')}."]
    return lines


def _line_of_gpus(gpus: dict[str, Any]) -> str:
    if gpus["ids"]:
        models = Counter(name or "of unknown model" for name in gpus["names"])
        counted = ", ".join(f"{count} {name}" for name, count in models.items())
        return f"{counted}: {', '.join(gpus['ids'])}, told by {gpus['found_by']}"
    if gpus["found_by"]:
        return f"none: {gpus['found_by']} hides them"
    if gpus["nvml"] is None:
        return "none seen"
    return (
        f"none seen ({gpus['nvml']}); if there should be some, ask in a job on a GPU node, "
        "and start a container with --nv (Apptainer) or --gpus all (Docker)"
    )
