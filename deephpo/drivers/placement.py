"""Who is where in an MPI job, and what is wrong with that."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from deephpo.drivers.world import MASTER, World
from deephpo.hardware.devices import Kind


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one rank is, and what its trials own there."""

    rank: int
    host: str
    cores: float
    """How many cores its trials own; 0 for the master, which has no trials."""
    kind: Kind
    devices: tuple[str, ...]
    """The accelerators that its trials own, as their variable takes them."""
    seen: tuple[str, ...]
    """What tells the accelerators that it sees from each other."""


def seats_of(world: World) -> list[Seat]:
    """Return the seats of all ranks on the master, and nothing elsewhere; a collective."""
    seen = [sight.devices for sight in world.node.sights if sight.rank == world.rank]
    mine = Seat(
        world.rank,
        platform.node(),
        world.node.cores_of(world.rank),
        world.devices.kind,
        world.devices.ids,
        tuple(device.identity for devices in seen for device in devices.each),
    )
    return world.gather(mine)


def flaws_of(seats: Sequence[Seat]) -> list[str]:
    """Return what is wrong with a placement, each with its cure."""
    workers = [seat for seat in seats if seat.rank != MASTER]
    counts = Counter(seat.host for seat in workers)
    master = next(seat.host for seat in seats if seat.rank == MASTER)
    flaws = []
    if len(set(counts.values())) > 1:
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        flaws.append(
            f"{most} has {counts[most]} workers, {least} {counts[least]}: deal the ranks out round robin, "
            "one more than workers in all (mpirun --map-by node, srun --distribution=cyclic)."
        )
    if master not in counts:
        flaws.append(
            f"{master} has the master alone, and its GPUs idle: start one rank more than workers there."
        )
    for host in sorted(counts):
        flaws += _flaws_on(host, [seat for seat in workers if seat.host == host])
    return flaws


def _flaws_on(host: str, workers: Sequence[Seat]) -> list[str]:
    seen = {identity for seat in workers for identity in seat.seen}
    owned = sum(len(seat.devices) for seat in workers)
    cores = round(sum(seat.cores for seat in workers))
    flaws = []
    if owned < len(seen) and owned:
        flaws.append(
            f"{host}: {len(seen) - owned} of {len(seen)} GPUs belong to no worker: start as many workers as "
            "GPUs on a node, or a divisor of that."
        )
    if owned and any(not seat.devices for seat in workers):
        flaws.append(
            f"{host}: some workers have no GPU, others do: ask for GPUs for all ranks of the node alike."
        )
    if cores < len(workers):
        flaws.append(
            f"{host}: {len(workers)} workers share {cores} core{'' if cores == 1 else 's'}: ask for more "
            "(--cpus-per-task, ncpus), and let the launcher bind no rank to a core (--bind-to none)."
        )
    return flaws
