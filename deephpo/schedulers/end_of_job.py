"""When the batch job that we run in will be ended, as far as anybody tells."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from functools import cache

from deephpo.errors import OptionError
from deephpo.schedulers.create import scheduler_of_job
from deephpo.schedulers.protocol import Scheduler

_VARIABLES = ("DEEPHPO_END_TIME", "SLURM_JOB_END_TIME")
"""Seconds since the epoch; the first is ours, which our job scripts set."""

MARGIN_S = 30.0
"""What a search needs after its last trial: the trials' grace, the tables, the farewells."""


def seconds_left(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return for how long a search can go on in this job; None if nobody says when it ends.

    MARGIN_S of the job's time are kept back, a twentieth of what is left if that is less.

    Raises OptionError if a variable holds something else than a time.
    """
    for variable in _VARIABLES:
        if variable in environment:
            try:
                end_s = float(environment[variable])
            except ValueError:
                end_s = math.nan
            if not math.isfinite(end_s):
                raise OptionError(
                    f"{variable} must be a time in seconds since the epoch, as `date +%s` prints it, "
                    f"not {environment[variable]!r}."
                )
            return _usable_s(end_s - time.time())
    scheduler = scheduler_of_job(environment)
    if scheduler is None:
        return None
    told_s = _told_end_s(scheduler, environment[scheduler.names.job_id])
    return None if told_s is None else _usable_s(told_s - time.time())


def _usable_s(left_s: float) -> float:
    return left_s - min(MARGIN_S, left_s / 20)


@cache
def _told_end_s(scheduler: Scheduler, job: str) -> float | None:
    """Return when a job ends by its batch system's word, which is asked once."""
    return scheduler.end_time_s({scheduler.names.job_id: job})
