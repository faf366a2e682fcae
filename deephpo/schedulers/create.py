"""Which batch systems there are, and which of them this is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from deephpo.errors import OptionError, unknown_name
from deephpo.schedulers.pbs import Pbs
from deephpo.schedulers.protocol import Scheduler
from deephpo.schedulers.slurm import Slurm

SCHEDULERS: Mapping[str, Scheduler] = {"slurm": Slurm(), "pbs": Pbs()}
AUTO = "auto"


def scheduler_of(name: str) -> Scheduler:
    """Return a batch system by its name, or the one that is here for "auto"; raises OptionError otherwise."""
    if name != AUTO:
        if name not in SCHEDULERS:
            raise OptionError(unknown_name("scheduler", name, [*SCHEDULERS, AUTO]))
        return SCHEDULERS[name]
    here = (scheduler for scheduler in SCHEDULERS.values() if shutil.which(scheduler.names.submit))
    found = next(here, None)
    if found is None:
        commands = " nor ".join(scheduler.names.submit for scheduler in SCHEDULERS.values())
        raise OptionError(
            f"There is no batch system here, neither {commands}: submit on a login node, load the module "
            "that brings its commands, or look at a script with --scheduler slurm --dry-run."
        )
    return found


def require(scheduler: Scheduler) -> None:
    """Raise OptionError unless the commands of a batch system are here."""
    command = scheduler.names.submit
    if shutil.which(command) is None:
        raise OptionError(
            f"There is no {command} here: submit on a login node, load the module that brings it, or look at "
            "the script with --dry-run."
        )


def scheduler_of_job(environment: Mapping[str, str] = os.environ) -> Scheduler | None:
    """Return the batch system in a job of which this process runs; None if it runs in none."""
    return next((s for s in SCHEDULERS.values() if s.names.job_id in environment), None)
