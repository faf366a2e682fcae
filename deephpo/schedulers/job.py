"""The batch job that this process runs in, in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping

from deephpo.schedulers.commands import answer
from deephpo.schedulers.create import scheduler_of_job

_MOST_NAMED = 4
"""Of more nodes the first and the last are named."""


def job_line(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return which job this is, whose start, on which nodes; None outside a job.

    Such as "Slurm job 12, start 3, on 2 nodes: node1, node4"; what nobody tells is left out.
    """
    scheduler = scheduler_of_job(environment)
    if scheduler is None:
        return None
    names = scheduler.names
    parts = [f"{names.title} job {environment[names.job_id]}"]
    restarts = environment.get(names.restarts, "")
    if restarts.isdigit() and int(restarts):
        parts.append(f"start {int(restarts) + 1}")
    nodes = answer(["bash", "-c", f"set -o pipefail; {names.nodes}"], environment).splitlines()
    if nodes:
        parts.append(f"on {len(nodes)} node{'s' if len(nodes) > 1 else ''}: {_named(nodes)}")
    return ", ".join(parts)


def _named(nodes: list[str]) -> str:
    return ", ".join(nodes) if len(nodes) <= _MOST_NAMED else f"{nodes[0]} to {nodes[-1]}"
