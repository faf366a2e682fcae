"""``deephpo search``: over MPI when an MPI launcher started us, else on this machine alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.cli.conduct import DRIVERS, conduct
from deephpo.cli.options import (
    add_fault_arguments,
    add_ranks_argument,
    add_search_arguments,
    resolve,
)
from deephpo.cli.quantities import at_least

if TYPE_CHECKING:
    from deephpo.cli.session import Session

DESCRIPTION = """Search the space of PROBLEM for the best configuration. Started by mpirun or srun, rank 0 is
the master and every other rank a worker; started alone, the workers are processes on this machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("problem", metavar="PROBLEM", help="PROBLEM.py or package.module, perhaps with :name")
    add_search_arguments(parser)
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help="where results go (default: runs/NAME-DATE-TIME)"
    )
    add_worker_arguments(parser)
    add_fault_arguments(parser)


def add_worker_arguments(parser: argparse.ArgumentParser, drivers: Sequence[str] = DRIVERS) -> None:
    """Declare where trials run."""
    where = parser.add_argument_group("the workers")
    where.add_argument("--driver", choices=drivers, default="auto", help="where trials run (default: auto)")
    where.add_argument(
        "--workers",
        type=at_least("--workers", 1),
        metavar="N",
        help="local driver: processes (default: the cores)",
    )
    add_ranks_argument(where)
    where.add_argument(
        "--share-gpus",
        action="store_true",
        help="over MPI: let several workers of a node train on the same GPU; say it again on resume",
    )


def run(arguments: argparse.Namespace) -> int:
    """Search; returns the exit code."""
    options = resolve(arguments)

    def prepare(workers: int | None) -> Session:
        from deephpo.cli.opening import begin

        return begin(arguments.problem, options, options.run_dir, workers=workers)

    return conduct(prepare, arguments.driver, options.workers, arguments.share_gpus)
