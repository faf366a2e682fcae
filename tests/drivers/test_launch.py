import pytest

from deephpo.drivers.launch import Launch, launch_of

OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "3"}
MPICH = {"PMI_SIZE": "4", "PMI_RANK": "1"}
PALS = {"PALS_SIZE": "16", "PALS_RANKID": "15"}
BATCH = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "64", "SLURM_PROCID": "0"}
STEP = {**BATCH, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "32", "SLURM_PROCID": "5"}


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({}, Launch("the shell", 1, 0)),
        (OPEN_MPI, Launch("Open MPI's mpirun", 8, 3)),
        (MPICH, Launch("mpiexec", 4, 1)),
        (PALS, Launch("PALS' mpiexec", 16, 15)),
        (STEP, Launch("srun", 32, 5)),
        (BATCH, Launch("the shell", 1, 0)),
        ({**BATCH, "SLURM_STEP_ID": "batch", "SLURM_STEP_NUM_TASKS": "1"}, Launch("the shell", 1, 0)),
        ({**STEP, "SLURM_STEP_NUM_TASKS": "1", **OPEN_MPI}, Launch("Open MPI's mpirun", 8, 3)),
        ({**STEP, **MPICH}, Launch("srun", 4, 1)),
        ({**STEP, **MPICH, "MPI_LOCALRANKID": "0"}, Launch("mpiexec", 4, 1)),
        ({"PMI_SIZE": ""}, Launch("the shell", 1, 0)),
        ({"PMI_SIZE": "4"}, Launch("mpiexec", 4, 0)),
    ],
    ids=[
        *("shell", "open mpi", "mpich", "pals", "srun", "batch script", "batch step", "mpirun in a step"),
        *("srun with pmi2", "mpiexec in a step", "empty", "no rank"),
    ],
)
def test_the_launcher_is_read_from_its_variables(environment, launch):
    assert launch_of(environment) == launch


def test_by_default_the_environment_of_this_process_is_read(monkeypatch):
    for name, value in OPEN_MPI.items():
        monkeypatch.setenv(name, value)
    assert launch_of() == Launch("Open MPI's mpirun", 8, 3)
