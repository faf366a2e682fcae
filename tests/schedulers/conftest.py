"""A request for a job, of which each test changes what it is about."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from deephpo.schedulers.launchers import launcher_of
from deephpo.schedulers.machines import machine_of
from deephpo.schedulers.request import Request


@pytest.fixture
def request_for() -> Callable[..., Request]:
    """Return a function that makes a request: two nodes with four GPUs each, for two hours."""
    plain = Request(
        problem="hartmann6",
        run_dir="/scratch/runs/h6",
        start_dir="/home/me",
        program=("/venv/bin/deephpo",),
        arguments=("problems/hartmann6.py", "--trials", "50"),
        nodes=2,
        gpus_per_node=4,
        workers_per_node=4,
        walltime_s=7200,
        machine=machine_of("generic"),
        launcher=launcher_of("mpirun"),
    )
    return lambda **changes: replace(plain, **changes)
