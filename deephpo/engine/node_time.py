"""How long the hosts of a search's workers were there, all together: what an allocation is charged for."""

from __future__ import annotations

from collections import Counter

from deephpo.storage.records import Record, Resumed, WorkerJoined, WorkerLost


class NodeTime:
    """Counts a host from the coming of its first worker to the going of its last, and once."""

    def __init__(self, spent_s: float = 0.0) -> None:
        self._spent_s = spent_s
        self._since_s = 0.0
        self._hosts: dict[int, str] = {}
        """Where each worker is that is there."""
        self._last_hosts: dict[int, str] = {}
        """Where each worker was last that is there or was."""
        self._workers: Counter[str] = Counter()
        """How many are on each host."""

    def take(self, record: Record) -> None:
        """Take note of what an earlier process recorded."""
        match record:
            case WorkerJoined():
                self.join(record.worker, record.host, record.time_s)
            case WorkerLost():
                self.leave(record.worker, record.time_s)
            case Resumed():
                for worker in list(self._hosts):
                    self.leave(worker, record.time_s)
            case _:
                pass

    def join(self, worker: int, host: str, now_s: float) -> None:
        """Take note of a worker that came; one that comes back may leave out its host."""
        self.leave(worker, now_s)
        host = host or self._last_hosts.get(worker, "")
        self._hosts[worker] = self._last_hosts[worker] = host
        self._workers[host] += 1

    def leave(self, worker: int, now_s: float) -> None:
        """Take note of a worker that is gone."""
        self._spend(now_s)
        host = self._hosts.pop(worker, None)
        if host is None:
            return
        self._workers[host] -= 1
        if not self._workers[host]:
            del self._workers[host]

    def total_s(self, now_s: float) -> float:
        """Return the seconds of all hosts until now."""
        return self._spent_s + len(self._workers) * (now_s - self._since_s)

    def _spend(self, now_s: float) -> None:
        self._spent_s, self._since_s = self.total_s(now_s), now_s
