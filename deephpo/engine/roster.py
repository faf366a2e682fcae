"""Who is there: on which host, who is free, and of whom nothing was heard for too long."""

from __future__ import annotations

from collections import OrderedDict

from deephpo.engine.idle import IdleWorkers
from deephpo.engine.node_time import NodeTime


class Roster:
    """Keeps the list of the workers; no work is done for those to which nothing happens.

    lease_s: a worker that is silent for longer is lost; None: nobody ever is for that.  node_s: how long
    the hosts of earlier processes' workers were there.
    """

    def __init__(self, lease_s: float | None, node_s: float = 0.0) -> None:
        self.idle = IdleWorkers()
        self.lost: set[int] = set()
        """The workers that are not there any more, the silent ones among them."""
        self.last_loss = ""
        """Why the last of them was lost."""
        self._lease_s = lease_s
        self._heard: OrderedDict[int, float] = OrderedDict()
        """The workers that are there, and when each was last heard of, the most silent one first."""
        self._host_of: dict[int, str] = {}
        self._node_time = NodeTime(node_s)
        self._silent: dict[int, bool] = {}
        """The workers whose lease ran out, and whether each had a trial then."""

    def __len__(self) -> int:
        return len(self._heard)

    def __contains__(self, worker: int) -> bool:
        return worker in self._heard

    def present(self) -> list[int]:
        """Return the workers that are there, in the order of their numbers."""
        return sorted(self._heard)

    def join(self, worker: int, host: str, now_s: float) -> None:
        """Take in a worker, which is free; one that comes back may leave out its host."""
        self._silent.pop(worker, None)
        self.lost.discard(worker)
        if host or worker not in self._host_of:
            self._host_of[worker] = host
        self._node_time.join(worker, self._host_of[worker], now_s)
        self._heard[worker] = now_s
        self.free(worker)

    def free(self, worker: int) -> None:
        """Note that a worker has nothing to do."""
        self.idle.add(worker, self._host_of[worker])

    def renew_lease(self, worker: int, now_s: float) -> None:
        """Note that a worker that is there was heard of."""
        self._heard[worker] = now_s
        self._heard.move_to_end(worker)

    def overdue(self, now_s: float) -> int | None:
        """Return a worker whose lease ran out; only the most silent one is looked at."""
        if self._lease_s is None or not self._heard:
            return None
        worker, heard_s = next(iter(self._heard.items()))
        return worker if now_s - heard_s > self._lease_s else None

    def fall_silent(self, worker: int, had_trial: bool) -> None:
        """Note of a lost worker that it may only be slow."""
        self._silent[worker] = had_trial

    def is_silent(self, worker: int) -> bool:
        """Return whether a worker was lost because nothing was heard of it."""
        return worker in self._silent

    def is_silent_and_free(self, worker: int) -> bool:
        """Return whether a silent worker had nothing to do: one that still has a trial must end it first."""
        return not self._silent.get(worker, True)

    def node_s(self, now_s: float) -> float:
        """Return how long the hosts of workers were there until now, all together."""
        return self._node_time.total_s(now_s)

    def lose(self, worker: int, reason: str, now_s: float) -> None:
        """Strike a worker out."""
        self._node_time.leave(worker, now_s)
        self._silent.pop(worker, None)
        self.lost.add(worker)
        self.last_loss = reason
        self._heard.pop(worker, None)
        self.idle.discard(worker)
