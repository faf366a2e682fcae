"""PBS Pro and OpenPBS: qsub, qstat."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from deephpo.schedulers.commands import answer, submitted
from deephpo.schedulers.protocol import Names
from deephpo.schedulers.request import Request
from deephpo.schedulers.script import again, ground, heading, life, place

_STARTED = re.compile(r"^\s*stime = (.+)$", re.MULTILINE)
_STATE = re.compile(r"^\s*job_state = (\w)", re.MULTILINE)
_ENDED = ("C", "F")
"""States of jobs that are remembered for a while, of Torque and of PBS."""
_WALLTIME = re.compile(r"^\s*Resource_List\.walltime = (\d+):(\d+):(\d+)$", re.MULTILINE)


class Pbs:
    """The batch system PBS, which warns no job of its end: the search goes by its own clock."""

    names = Names(
        "PBS",
        job_id="PBS_JOBID",
        submit_dir="PBS_O_WORKDIR",
        submit="qsub",
        show="qstat",
        cancel="qdel",
        # The node file has a line for each process; a node counts once.
        nodes="awk '!seen[$0]++' \"$PBS_NODEFILE\"",
        restarts="DEEPHPO_RESTARTS",
    )

    def script(self, request: Request) -> str:
        """Return the text of the job script."""
        lines = [
            *heading(request, self.names),
            *(f"#PBS {directive}" for directive in _directives(request)),
            "",
            *place(request, self.names),
            "# PBS would show what is printed at the end only.",
            'mkdir -p "$run" && exec >>"$run/job.out" 2>&1 || exit',
            *ground(request, self.names),
            "",
            *life(request),
            "",
            *again(request, self.names, _successor(request)),
        ]
        return "\n".join(lines) + "\n"

    def submit(self, script: Path) -> str:
        """Submit a script, and return the job's id; raises LaunchError if that is refused."""
        return submitted(["qsub", str(script)], script.parent)

    def state(self, job: str) -> str:
        """Return the state of a job that waits or runs, as PBS calls it; empty if there is none."""
        found = _STATE.search(answer(["qstat", "-f", job]))
        return "" if found is None or found[1] in _ENDED else found[1]

    def end_time_s(self, environment: Mapping[str, str]) -> float | None:
        """Return when the job of this environment ends, in seconds since the epoch; None if nobody tells."""
        return _end_time_s(answer(["qstat", "-f", environment[self.names.job_id]]))


def _directives(request: Request) -> list[str]:
    machine = request.machine
    optional = {
        "-A": request.account,
        "-q": request.queue,
        "-M": request.email,
        "-m": request.email and "ae",
    }
    return [
        f"-N {request.job_name}",
        f"-l select={_chunks(request)}",
        "-l place=scatter:excl" if machine.whole_nodes else "-l place=scatter",
        f"-l walltime={request.walltime}",
        *(f"{name} {value}" for name, value in optional.items() if value is not None),
        *machine.directives,
        "-j oe",
        "-r y",
    ]


def _chunks(request: Request) -> str:
    """Return how many nodes there are to be, and what each must have and be."""
    ranks = request.workers_per_node + 1
    wanted = [str(request.nodes), request.machine.chunk]
    if not request.machine.whole_nodes:
        # Open MPI takes from mpiprocs how many ranks may be on a node.
        wanted += [f"ncpus={request.cores_per_node}", f"mpiprocs={ranks}"]
        wanted += [f"ngpus={request.gpus_per_node}"] if request.gpus_per_node else []
    if request.constraint:  # what stands alone is a boolean resource
        wanted.append(request.constraint if "=" in request.constraint else f"{request.constraint}=True")
    return ":".join(part for part in wanted if part)


def _successor(request: Request) -> list[str]:
    return [
        'echo "job.sh: not done yet; another job is to go on"',
        "count=$((${DEEPHPO_RESTARTS:-0} + 1))",
        'qsub -W depend=afterany:"$PBS_JOBID" -v DEEPHPO_RESTARTS=$count '
        f'{shlex.quote(request.script)} >"$run/job" \\',
        '    && cat "$run/job" && exit 75',
    ]


def _end_time_s(report: str) -> float | None:
    """Return when the job is ended of which ``qstat -f`` says this."""
    started, walltime = _STARTED.search(report), _WALLTIME.search(report)
    if started is None or walltime is None:
        return None
    hours, minutes, seconds = map(int, walltime.groups())
    try:
        start_s = time.mktime(time.strptime(started[1].strip()))
    except ValueError:
        return None
    return start_s + 3600 * hours + 60 * minutes + seconds
