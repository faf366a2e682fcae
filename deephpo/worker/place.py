"""A process's place among those that train one trial together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Rank and size as data-parallel training counts them: within one trial, from 0 on.

    Local counts among the processes of one host; cross counts the hosts, for each local rank alone.
    """

    rank: int = 0
    workers: tuple[int, ...] = (0,)
    """The worker of each rank; the first is the leader, which alone speaks to the master."""
    hosts: tuple[str, ...] = ("",)
    """The host of each rank."""

    @property
    def size(self) -> int:
        """How many processes train the trial together."""
        return len(self.workers)

    @property
    def host(self) -> str:
        """This process's host."""
        return self.hosts[self.rank]

    @property
    def local_rank(self) -> int:
        """This process's place among those on its host."""
        return self._local_rank(self.rank)

    @property
    def local_size(self) -> int:
        """How many of them are on its host."""
        return self.hosts.count(self.host)

    @property
    def cross_rank(self) -> int:
        """This process's place among those of the same local rank, of which each host has one at most."""
        return self._alike().index(self.rank)

    @property
    def cross_size(self) -> int:
        """How many processes of the same local rank there are."""
        return len(self._alike())

    def _local_rank(self, rank: int) -> int:
        return self.hosts[:rank].count(self.hosts[rank])

    def _alike(self) -> list[int]:
        return [rank for rank in range(self.size) if self._local_rank(rank) == self.local_rank]


ALONE = Place()
"""The place of a process that trains its trial by itself."""
