"""Running programs and searches over real MPI ranks on this machine, for the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deephpo.storage.run_directory import RunDirectory

_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
_HERE = Path(sys.executable).parent


def search_over_mpi(workers: int, problem: str | Path, directory: Path, *options: str) -> RunDirectory:
    """Run ``deephpo search`` with 1 master and so many workers under this environment's own mpirun.

    Returns the run directory; raises CalledProcessError if the search did not end as asked.
    """
    run_over_mpi(workers + 1, _HERE / "deephpo", "search", problem, *options, "--run-dir", directory)
    return RunDirectory(directory)


def run_over_mpi(ranks: int, *words: str | Path) -> str:
    """Run a program on so many ranks, and return what it printed; raises CalledProcessError if it failed."""
    command = [_HERE / "mpirun", "--with-ft", "ulfm", "-n", ranks, *words]
    # Where a killed mpirun of the same process number has left its files, Open MPI 5 would not start.
    with tempfile.TemporaryDirectory(prefix="ompi-", ignore_cleanup_errors=True) as own:
        environment = {**os.environ, **_ENVIRONMENT, "PRTE_MCA_prte_tmpdir_base": own}
        ended = subprocess.run(
            [str(word) for word in command], check=True, env=environment, stdout=subprocess.PIPE, text=True
        )
    return ended.stdout
