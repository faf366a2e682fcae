"""Slurm: sbatch, squeue, scontrol."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from deephpo.schedulers.commands import answer, submitted
from deephpo.schedulers.protocol import Names
from deephpo.schedulers.request import Request
from deephpo.schedulers.script import again, ground, heading, life, place

NOTICE_S = 60
"""So long before the end Slurm warns the script, or a quarter of the time if that is less; up to a minute
earlier, as it looks every 30 seconds."""


class Slurm:
    """The batch system Slurm, from 20.11 on."""

    names = Names(
        "Slurm",
        job_id="SLURM_JOB_ID",
        submit_dir="SLURM_SUBMIT_DIR",
        submit="sbatch",
        show="squeue -j",
        cancel="scancel",
        nodes='scontrol show hostnames "$SLURM_JOB_NODELIST"',
        restarts="SLURM_RESTART_COUNT",
    )

    def script(self, request: Request) -> str:
        """Return the text of the job script."""
        lines = [
            *heading(request, self.names),
            *(f"#SBATCH {directive}" for directive in _directives(request)),
            "",
            *place(request, self.names),
            *ground(request, self.names),
            "",
            "# To the launcher alone, which passes it on to all ranks.  SIGTERM must not be passed on.",
            "trap 'warned=1; kill -USR1 \"$search\"' USR1",
            *life(request),
            "",
            *again(request, self.names, _requeue()),
        ]
        return "\n".join(lines) + "\n"

    def submit(self, script: Path) -> str:
        """Submit a script, and return the job's id; raises LaunchError if that is refused."""
        return submitted(["sbatch", "--parsable", str(script)], script.parent).partition(";")[0]

    def state(self, job: str) -> str:
        """Return the state of a job that waits or runs, as Slurm calls it; empty if there is none."""
        return answer(["squeue", "--noheader", "--jobs", job, "--format=%T"])

    def end_time_s(self, environment: Mapping[str, str]) -> float | None:
        """Return when the job of this environment ends, in seconds since the epoch; None if nobody tells."""
        text = answer(["squeue", "--noheader", "--jobs", environment[self.names.job_id], "--format=%e"])
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            return None  # N/A, or NONE: the job has no end


def _directives(request: Request) -> list[str]:
    optional = {
        "--account": request.account,
        request.machine.queue_option: request.queue,
        "--constraint": request.constraint,
        "--gpus-per-node": request.gpus_per_node or None,
        "--mail-user": request.email,
        "--mail-type": request.email and "END,FAIL",
    }
    return [
        f"--job-name={request.job_name}",
        f"--nodes={request.nodes}",
        # A task is a core here, as the launcher knows how many ranks there are: with --cpus-per-task every
        # node would need a worker's cores for the master too; --mincpus gets no more cores than tasks.
        f"--ntasks-per-node={request.cores_per_node}",
        f"--time={request.walltime}",
        # The last word counts: the user's, where a machine has one on the same.
        *request.machine.directives,
        *(f"{name}={value}" for name, value in optional.items() if value is not None),
        f"--output={request.output}",
        "--open-mode=append",
        "--requeue",
        f"--signal=B:USR1@{min(NOTICE_S, request.walltime_s // 4)}",
    ]


def _requeue() -> list[str]:
    return [
        'echo "job.sh: not done yet; Slurm is to start this job again"',
        'scontrol requeue "$SLURM_JOB_ID" && sleep 120    # in which Slurm ends this script',
    ]
