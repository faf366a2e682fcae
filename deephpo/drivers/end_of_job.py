"""When the batch job that we run in will be ended, as far as the environment tells."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping

from deephpo.errors import OptionError

_VARIABLES = ("DEEPHPO_END_TIME", "SLURM_JOB_END_TIME")
"""Seconds since the epoch; the first is ours, for job scripts of schedulers that tell no end."""

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
            left_s = end_s - time.time()
            return left_s - min(MARGIN_S, left_s / 20)
    return None
