"""With which command a search goes on that could not be done, as far as that is for the user to say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deephpo.storage.run_directory import RunDirectory


def next_command(directory: RunDirectory, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return with which command a run goes on, in a sentence; None in a job whose script says so itself."""
    from deephpo.schedulers.create import scheduler_of_job

    resume = f"deephpo resume {directory.path}"
    if not directory.script.exists():
        return f"Go on with: {resume}"
    # A job script sets the end of its job; an interactive job knows of none.
    if scheduler_of_job(environment) is not None and "DEEPHPO_END_TIME" in environment:
        return None
    return (
        f"Go on with: deephpo submit {directory.path} --nodes N --walltime T (a job with --chain does so by "
        f"itself), or without a batch system: {resume}"
    )
