"""The ready scripts in ``jobs/``: requests that a user changes by hand."""

from __future__ import annotations

from deephpo.schedulers.create import scheduler_of
from deephpo.schedulers.launchers import launcher_of
from deephpo.schedulers.machines import machine_of
from deephpo.schedulers.request import Request

READY = {
    # file: the machine, the batch system, what else is asked for
    "slurm.sh": ("generic", "slurm", None),
    "pbs.sh": ("generic", "pbs", None),
    "perlmutter.sh": ("perlmutter", "slurm", "regular"),
    "polaris.sh": ("polaris", "pbs", "prod"),
    "frontier.sh": ("frontier", "slurm", "batch"),
    "aurora.sh": ("aurora", "pbs", "prod"),
}
"""What each is for."""

_RUN = "runs/digits_mlp"
_PREFACE = f"""\
# To be changed by hand: what is asked for, the run directory, the problem and its options; and `deephpo` in
# the launch line to its whole path, where a job begins without your environment, as with PBS.
# Before it is submitted: mkdir -p {_RUN}
# `deephpo submit` does all that by itself, and looks at everything first.
"""


def ready_script(file: str) -> str:
    """Return the text of one of READY."""
    name, scheduler, queue = READY[file]
    machine = machine_of(name)
    gpus = machine.gpus_per_node or 4
    request = Request(
        problem="digits_mlp",
        run_dir=_RUN,
        start_dir=None,
        program=("deephpo",),
        arguments=("problems/digits_mlp.py", "--trials", "500"),
        nodes=2,
        gpus_per_node=gpus,
        workers_per_node=gpus,
        walltime_s=3600,
        machine=machine,
        launcher=launcher_of(machine.launcher or "mpirun"),
        account="ACCOUNT" if machine.needs_account else None,
        queue=queue,
        chain=3,
        script_path=f"jobs/{file}",
    )
    first, rest = scheduler_of(scheduler).script(request).split("\n", 1)
    return f"{first}\n{_PREFACE}{rest}"
