"""What started this process: read from the environment, before any MPI library is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_LAUNCHERS = (
    # (launcher, number of tasks, this task's rank); the first whose variables are there counts: under
    # mpirun inside a Slurm job the SLURM_ variables are those of the launcher's daemon.
    ("Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("mpiexec", "PMI_SIZE", "PMI_RANK"),
    ("PALS' mpiexec", "PALS_SIZE", "PALS_RANKID"),
)


@dataclass(frozen=True)
class Launch:
    """What the launcher announces of this process."""

    launcher: str
    size: int
    """How many processes it started."""
    rank: int
    """Which of them this is."""


def launch_of(environment: Mapping[str, str] = os.environ) -> Launch:
    """Return what started this process; nothing that announces tasks is a launch of one."""
    for launcher, size, rank in _LAUNCHERS:
        if environment.get(size, "").isdigit():
            name = "srun" if size == "PMI_SIZE" and _is_srun_with_pmi(environment) else launcher
            return Launch(name, int(environment[size]), int(environment.get(rank, "0")))
    # In a batch script SLURM_NTASKS is set too; only srun sets a step with an id.
    if (
        environment.get("SLURM_STEP_ID", "").isdigit()
        and environment.get("SLURM_STEP_NUM_TASKS", "").isdigit()
    ):
        rank = environment.get("SLURM_PROCID", "0")
        return Launch("srun", int(environment["SLURM_STEP_NUM_TASKS"]), int(rank))
    return Launch("the shell", 1, 0)


def _is_srun_with_pmi(environment: Mapping[str, str]) -> bool:
    """Return whether srun set the PMI variables: below it MPICH's mpiexec sets its own local rank too."""
    return "SLURM_STEP_ID" in environment and "MPI_LOCALRANKID" not in environment
