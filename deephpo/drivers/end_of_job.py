"""When the batch job that we run in will be ended, as far as the environment tells."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping

from deephpo.errors import OptionError

_VARIABLES = ("DEEPHPO_END_TIME", "SLURM_JOB_END_TIME")
"""Seconds since the epoch; the first is ours, for job scripts of schedulers that tell no end."""


def seconds_left(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how long the job still has; None if nobody says.

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
            return end_s - time.time()
    return None
