"""The workers that are free, by host, so that those who train together are near each other."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict


class IdleWorkers:
    """Free workers; on each host the one that has been free for longest goes first.

    A trial gets the host with the fewest free workers that are enough for it, so that whole hosts stay free
    for those that need them; no host alone is enough, it fills the emptiest hosts one after the other.
    Whatever the number of workers, taking one looks at as many numbers as hosts differ in, not at them all.
    """

    def __init__(self) -> None:
        self._on: dict[str, OrderedDict[int, None]] = {}
        self._host_of: dict[int, str] = {}
        self._hosts_with: dict[int, OrderedDict[str, None]] = {}
        """By the number of free workers: the hosts that have so many."""
        self._numbers: list[int] = []
        """Those numbers, sorted."""

    def __len__(self) -> int:
        return len(self._host_of)

    def __contains__(self, worker: int) -> bool:
        return worker in self._host_of

    def add(self, worker: int, host: str) -> None:
        """Take in a worker that is free from now on."""
        self.discard(worker)
        there = self._on.setdefault(host, OrderedDict())
        self._host_of[worker] = host
        there[worker] = None
        self._count_anew(host, len(there) - 1)

    def discard(self, worker: int) -> None:
        """Strike a worker out, if it is here."""
        host = self._host_of.pop(worker, None)
        if host is not None:
            there = self._on[host]
            del there[worker]
            self._count_anew(host, len(there) + 1)

    def take(self, k: int) -> tuple[int, ...]:
        """Return k workers, host by host, and strike them out; there must be so many."""
        taken: list[int] = []
        while len(taken) < k:
            there = self._on[self._best_host(k - len(taken))]
            some = [worker for worker, _ in zip(there, range(k - len(taken)), strict=False)]
            for worker in some:
                self.discard(worker)
            taken += sorted(some)
        return tuple(taken)

    def _best_host(self, k: int) -> str:
        place = min(bisect_left(self._numbers, k), len(self._numbers) - 1)
        return next(iter(self._hosts_with[self._numbers[place]]))

    def _count_anew(self, host: str, before: int) -> None:
        """Put a host that had so many free workers where it belongs now."""
        now = len(self._on[host])
        if before:
            alike = self._hosts_with[before]
            del alike[host]
            if not alike:
                del self._hosts_with[before]
                self._numbers.remove(before)
        if not now:
            del self._on[host]
            return
        if now not in self._hosts_with:
            self._hosts_with[now] = OrderedDict()
            insort(self._numbers, now)
        self._hosts_with[now][host] = None
