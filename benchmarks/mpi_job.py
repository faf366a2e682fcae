"""Running a search over real MPI ranks on this machine, for the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deephpo.storage.run_directory import RunDirectory

_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def search_over_mpi(workers: int, problem: str | Path, directory: Path, *options: str) -> RunDirectory:
    """Run ``deephpo search`` with 1 master and so many workers under this environment's own mpirun.

    Returns the run directory; raises CalledProcessError if the search did not end as asked.
    """
    here = Path(sys.executable).parent
    launch = [here / "mpirun", "--with-ft", "ulfm", "-n", workers + 1]
    command = [*launch, here / "deephpo", "search", problem, *options, "--run-dir", directory]
    subprocess.run(
        [str(part) for part in command],
        check=True,
        env=os.environ | _ENVIRONMENT,
        stdout=subprocess.DEVNULL,
    )
    return RunDirectory(directory)
