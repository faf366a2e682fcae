"""Reading a problem's declaration without running its code in this process."""

from __future__ import annotations

import json
from multiprocessing.connection import wait

from deephpo.errors import LaunchError, ProblemError
from deephpo.problem import Declaration
from deephpo.worker.messages import Gone, Loaded
from deephpo.worker.process import PROCESS_LIMITS, SHORTAGES, TrialProcess


def describe(target: str) -> Declaration:
    """Return the declaration of the problem at ``target``, read by a child process.

    Raises ProblemError with what is wrong, where, and the cure, and LaunchError if no process can be started.
    """
    try:
        process = TrialProcess(target)
    except OSError as error:
        if error.errno not in SHORTAGES:
            raise
        raise LaunchError(
            f"No process can be started on this machine: {error.strerror}. Raise the limit: {PROCESS_LIMITS}."
        ) from error
    try:
        while True:
            wait(process.sources, timeout=0.1)
            for message in process.poll():
                if isinstance(message, Loaded):
                    return Declaration.from_dict(json.loads(message.declaration))
                if isinstance(message, Gone):
                    raise ProblemError(message.reason)
    finally:
        process.kill()
