"""What the worker ranks of one node share: its cores and its accelerators."""

from __future__ import annotations

import os
from dataclasses import dataclass

from deephpo.hardware.devices import Devices, share_out, visible_devices


@dataclass(frozen=True, slots=True)
class Sight:
    """What one rank sees of its node."""

    rank: int
    cores: frozenset[int]
    devices: Devices


@dataclass(frozen=True, slots=True)
class Node:
    """What the worker ranks of one node see, in the order of their numbers."""

    sights: tuple[Sight, ...]

    def cores_of(self, rank: int) -> float:
        """Return how many cores a rank's trials own: a core that k of them may use counts 1/k for each."""
        owners = {core: 0 for sight in self.sights for core in sight.cores}
        for sight in self.sights:
            for core in sight.cores:
                owners[core] += 1
        return sum(1.0 / owners[core] for sight in self.sights if sight.rank == rank for core in sight.cores)

    def devices_of(self, rank: int, share: bool) -> Devices:
        """Return the accelerators that a rank's trials own.

        share: whether several ranks may own the same.  Raises LaunchError if they must and may not.
        """
        owned = share_out([sight.devices for sight in self.sights], share)
        return next(
            (devices for sight, devices in zip(self.sights, owned, strict=True) if sight.rank == rank),
            Devices(),
        )


def sight_of(rank: int) -> Sight:
    """Return what this process sees."""
    return Sight(rank, frozenset(os.sched_getaffinity(0)), visible_devices())
