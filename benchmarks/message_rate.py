"""How many messages a second the master's loop works off, when workers do nothing but send.

    mpirun --with-ft ulfm -n 4 python benchmarks/message_rate.py [--seconds 5] [--kind report]

Rank 0 runs the search loop, the coordinator, the recorder and the MPI driver as they are; only the journal
goes nowhere.  Each other rank gets one trial and then sends messages of one event each, a report or a mere
sign of life, as fast as the master takes them: after so many it waits for the master's leave to go on.
Rank 0 prints one line of JSON: messages, and the seconds and CPU seconds that they took.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

from deephpo import Float, Space
from deephpo.drivers.mpi import MpiDriver, dismiss, say_goodbye
from deephpo.drivers.world import MASTER, Tag, World, join_world
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import Event, TrialReported, WorkerAlive, WorkerReady
from deephpo.engine.loop import SearchLoop
from deephpo.engine.terms import Terms
from deephpo.storage.journal import Journal
from deephpo.storage.recorder import RunRecorder
from deephpo.storage.run_state import RunState
from deephpo.trial import Report
from deephpo.worker.messages import Assignment
from deephpo.worker.workplace import Workplace

AT_ONCE = 64
"""A worker sends so many more whenever the master has received so many."""
KINDS = ("report", "alive")


class Tachometer(MpiDriver):
    """The driver, and beside it the count: it starts when all are there, and ends the search after a time."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world, Workplace("nothing.py", "nowhere"))
        self._senders = world
        self._seconds = seconds
        self._received: Counter[int] = Counter()
        self._ready = 0
        self._before = (0, 0.0, 0.0)
        self.loop: SearchLoop | None = None

    def poll(self, patience_s: float) -> list[Event]:
        """Return what happened, and give the senders leave to go on."""
        events = super().poll(patience_s)
        for event in events:
            if isinstance(event, WorkerReady):
                self._ready += 1
                if self._ready == self._senders.size - 1:
                    self._before = self._reading()
            elif isinstance(event, WorkerAlive | TrialReported):
                self._received[event.worker] += 1
                if self._received[event.worker] % AT_ONCE == 0:
                    self._senders.send(event.worker, Tag.TRIAL)
        if self._before[1] and time.monotonic() - self._before[1] > self._seconds and self.loop is not None:
            self.loop.request_stop("measured")
        return events

    def taken(self) -> dict[str, float]:
        """Return what there was since all workers were there."""
        messages, elapsed_s, cpu_s = (
            now - then for now, then in zip(self._reading(), self._before, strict=True)
        )
        return {"messages": messages, "elapsed_s": elapsed_s, "cpu_s": cpu_s}

    def _reading(self) -> tuple[int, float, float]:
        return self._received.total(), time.monotonic(), time.process_time()


def receive_all(world: World, seconds: float) -> dict[str, float]:
    """Be the master for so long; returns what there was."""
    from deephpo.engine.suggester import InlineSuggester
    from deephpo.search.create import create_search

    space = Space([Float("x", 0.0, 1.0)])
    driver = Tachometer(world, seconds)
    coordinator = Coordinator(Terms(workers=world.size - 1, lease_s=60.0))
    recorder = RunRecorder(Journal(None), RunState())
    driver.loop = SearchLoop(coordinator, InlineSuggester(create_search("random", space)), driver, recorder)
    driver.loop.run()
    taken = driver.taken()
    driver.close()
    return taken


def send_all(world: World, kind: str) -> None:
    """Be a worker that does nothing but send, until the master has enough."""
    rank = world.rank
    world.send(MASTER, Tag.EVENTS, [WorkerReady(rank, "somewhere")])
    trial_id, leave, sent = -1, 0, 0
    while True:
        for _, tag, content in world.receive():
            if tag is Tag.SHUT_DOWN:
                say_goodbye(world)
                return
            if isinstance(content, Assignment):
                trial_id, leave = content.trial_id, 2 * AT_ONCE
            elif tag is Tag.TRIAL:
                leave += AT_ONCE
        for _ in range(leave):
            sent += 1
            report = TrialReported(rank, Report(trial_id, sent, {"loss": 1.0 / sent}))
            world.send(MASTER, Tag.EVENTS, [report if kind == "report" else WorkerAlive(rank)])
        if not leave:
            time.sleep(0.001)
        leave = 0


def main() -> None:
    """Print what rank 0 counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--kind", choices=KINDS, default="report")
    options = parser.parse_args()
    world = join_world()
    if world.rank != MASTER:
        send_all(world, options.kind)
        world.leave(0)
        return
    taken = receive_all(world, options.seconds)
    print(json.dumps(taken), flush=True)
    world.leave(0, everybody_left=dismiss(world))


if __name__ == "__main__":
    main()
