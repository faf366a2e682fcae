"""The machines whose ways are known; every other one is "generic".

What stands here follows the machines' own user guides; nothing of it was run there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deephpo.errors import OptionError, unknown_name


@dataclass(frozen=True)
class Machine:
    """What a job has to say on one machine beside how much it wants."""

    summary: str
    scheduler: str | None = None
    """None: as the user says, or what is there."""
    launcher: str | None = None
    """None: as the user says, or the mpirun that is there."""
    gpus_per_node: int | None = None
    """None: as the user says."""
    whole_nodes: bool = False
    """Whether a job gets all cores of its nodes anyway, so that it need not ask for any."""
    chunk: str = ""
    """PBS: what each node must be, in the words of ``select``."""
    directives: tuple[str, ...] = ()
    """What its scheduler wants to be told, as lines without their prefix."""
    queue_option: str = "--partition"
    """Slurm: what its guide means by a queue."""
    environment: Mapping[str, str] = field(default_factory=dict)
    needs_account: bool = True


_TILES = ",".join(f"{gpu}.{tile}" for gpu in range(6) for tile in range(2))
"""Intel's GPUs must be listed: how many there are depends on modes that only their runtime knows."""

MACHINES = {
    "generic": Machine("any cluster", needs_account=False),
    "perlmutter": Machine(
        "NERSC, Slurm, 4 NVIDIA A100 a node",
        "slurm",
        "srun",
        4,
        whole_nodes=True,
        directives=("--constraint=gpu",),
        queue_option="--qos",
    ),
    "polaris": Machine(
        "ALCF, PBS, 4 NVIDIA A100 a node",
        "pbs",
        "pals",
        4,
        whole_nodes=True,
        chunk="system=polaris",
        directives=("-l filesystems=home:eagle",),
    ),
    "frontier": Machine(
        "OLCF, Slurm, 4 AMD MI250X a node, which are 8 devices",
        "slurm",
        "srun",
        8,
        whole_nodes=True,
        # Its home directories cannot be written from compute nodes, and MIOpen keeps its cache there.
        environment={"MIOPEN_DISABLE_CACHE": "1"},
    ),
    "aurora": Machine(
        "ALCF, PBS, 6 Intel GPUs a node, which are 12 devices",
        "pbs",
        "pals",
        12,
        whole_nodes=True,
        directives=("-l filesystems=home:flare",),
        environment={"ZE_FLAT_DEVICE_HIERARCHY": "COMPOSITE", "ZE_AFFINITY_MASK": _TILES},
    ),
}


def machine_of(name: str) -> Machine:
    """Return a machine; raises OptionError for an unknown one, which lists the known."""
    if name not in MACHINES:
        raise OptionError(unknown_name("machine", name, MACHINES))
    return MACHINES[name]
