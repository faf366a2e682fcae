"""The MPI driver: rank 0 is the master, every other rank a worker, as halves side by side.

The master may have tens of thousands of workers, so nothing that it does for one message, or at one look, is
work for each of them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import wait

from deephpo.drivers.keeper import Keeper, assignments
from deephpo.drivers.world import FAREWELL_S, MASTER, Tag, World
from deephpo.engine.events import Disband, Event, Start, Stop, WorkerAlive, WorkerGone, WorkerReady
from deephpo.engine.patience import PATIENCE_S, longer
from deephpo.worker.limits import GRACE_S
from deephpo.worker.messages import Meeting
from deephpo.worker.workplace import Workplace

PULSE_S = 10.0
"""A worker that has nothing to say says so, this often."""
LEASE_S = 120.0
"""A worker that does not even say that is lost after this time: its node hangs, or its network."""


class MpiDriver:
    """The master's half: rank r is the worker r."""

    def __init__(self, world: World, workplace: Workplace) -> None:
        self._world = world
        self._workplace = workplace
        self._began = time.monotonic()
        self._hosts: dict[int, str] = {}
        world.send_all(range(1, world.size), Tag.WORKPLACE, workplace)

    def now(self) -> float:
        """Return the seconds since this driver began."""
        return time.monotonic() - self._began

    def poll(self, patience_s: float) -> list[Event]:
        """Return all that happened; sleeps at most so long while nothing does."""
        events = self._receive()
        if not events and patience_s:
            time.sleep(patience_s)
            events = self._receive()
        return events

    def start(self, start: Start) -> None:
        """Send a trial to a worker, or to several."""
        hosts = tuple([self._hosts[worker] for worker in start.workers])
        for worker, assignment in assignments(self._workplace, start, hosts):
            self._world.send(worker, Tag.TRIAL, assignment)

    def stop(self, stop: Stop) -> None:
        """Tell a worker that its trial is to end."""
        self._world.send(stop.worker, Tag.STOP, stop)

    def disband(self, disband: Disband) -> None:
        """Let a worker's part of a trial end that is over."""
        self._world.send(disband.worker, Tag.DISBAND, disband.trial_id)

    def shut_down(self, worker: int) -> None:
        """Send a worker home."""
        self._world.send_home(worker)

    def close(self) -> None:
        """Send everybody home who still is here; :func:`dismiss` waits for them."""
        for worker in range(1, self._world.size):
            self.shut_down(worker)

    def _receive(self) -> list[Event]:
        letters = [content for _, tag, content in self._world.receive() if tag is Tag.EVENTS]
        events: list[Event] = [event for letter in letters for event in letter]
        self._hosts |= {event.worker: event.host for event in events if isinstance(event, WorkerReady)}
        return events + [WorkerGone(rank, self._obituary(rank)) for rank in self._world.newly_failed()]

    def _obituary(self, rank: int) -> str:
        where = f"on {self._hosts[rank]}" if rank in self._hosts else "before it was ready"
        return f"rank {rank} died {where}"


def dismiss(world: World) -> bool:
    """Send everybody home who still is here, and wait for the goodbyes; returns whether all said it."""
    waiting = set(range(1, world.size))
    for worker in waiting:
        world.send_home(worker)
    deadline_s = time.monotonic() + FAREWELL_S
    waiting -= world.failed
    while waiting and time.monotonic() < deadline_s:
        waiting.difference_update(source for source, tag, _ in world.receive() if tag is Tag.GOODBYE)
        waiting.difference_update(world.newly_failed())
        time.sleep(PATIENCE_S[0])
    if not waiting and not world.failed:  # so all may leave together
        world.send_all(range(1, world.size), Tag.FAREWELL)
    world.flush(deadline_s + FAREWELL_S)
    return not waiting


def serve(world: World) -> bool:
    """Be a worker: take trials until the master sends this rank home; returns False if it died instead."""
    _leave_signals_to_the_master()
    workplace = _first_message(world)
    if workplace is not None:
        try:
            keeper = _keeper(world, workplace)
            _leave_signals_to_the_master(keeper.interrupt)
            _Worker(world, keeper).run()
        except OSError as error:
            # Where MPI has no fault tolerance a rank that dies ends the job: so it says why, and waits.
            reason = f"its process could not be started: {error.strerror}"
            world.send(MASTER, Tag.EVENTS, [WorkerGone(world.rank, reason)])
            _first_message(world)
    # Asked before the goodbye: the master may leave as soon as it has that.
    if MASTER in world.failed:
        return False
    say_goodbye(world)
    return True


def _keeper(world: World, workplace: Workplace) -> Keeper:
    """Start this rank's child, with its part of the node; raises OSError if that cannot be."""
    cores = world.node.cores_of(world.rank)
    return Keeper(world.rank, workplace, cores, world.devices, partial(_post, world))


def _post(world: World, workers: Sequence[int], meeting: Meeting) -> None:
    world.send_all(workers, Tag.MEETING, meeting)


def say_goodbye(world: World) -> None:
    """Tell the master that nothing more will come, and wait until all leave together or one is dead."""
    world.send(MASTER, Tag.GOODBYE)
    while not world.failed:
        if any(tag is Tag.FAREWELL for _, tag, _ in world.receive()):
            return
        time.sleep(PATIENCE_S[1])
    world.flush(time.monotonic() + FAREWELL_S)


def leave_last(world: World) -> bool:
    """Return whether this is the first of the ranks that outlived the master, after the others are gone."""
    # mpirun ends the job at the first exit code that is not 0, and takes it for its own: so one rank has it.
    if not world.failed.issuperset(range(world.rank)):
        return False
    deadline_s = time.monotonic() + 2 * GRACE_S
    while len(world.failed) < world.size - 1 and time.monotonic() < deadline_s:
        list(world.receive())
        time.sleep(PATIENCE_S[1])
    return True


def _leave_signals_to_the_master(hear: Callable[[], None] = lambda: None) -> None:
    """Outlive the signals with which launchers announce the end: a rank that dies of one ends the job.

    hear: takes note that one came.
    """
    # They are caught rather than ignored: what is ignored stays so in the child.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: hear())


def _first_message(world: World) -> Workplace | None:
    """Return the workplace; None if there is to be no search."""
    while MASTER not in world.failed:
        for _, tag, content in world.receive(most=1):
            return content if tag is Tag.WORKPLACE else None
        time.sleep(PATIENCE_S[1])
    return None


class _Worker:
    """The worker's half: passes trials on to its child, and what happens to the child to the master."""

    def __init__(self, world: World, keeper: Keeper) -> None:
        self._world = world
        self._keeper = keeper
        self._patience_s = PATIENCE_S[0]
        self._spoke_s = time.monotonic()

    def run(self) -> None:
        """Serve until the master says that it is enough, or is dead."""
        while not self._keeper.is_home():
            happened = self._hear_master() | self._hear_child()
            if time.monotonic() - self._spoke_s > PULSE_S:
                self._tell([WorkerAlive(self._world.rank)])
            self._patience_s = PATIENCE_S[0] if happened else longer(self._patience_s)
            left_alone = self._keeper.busy and not self._keeper.expects_news
            # A worker whose trial runs is woken by what its child says; the master rarely has news for it.
            wait(self._keeper.sources, PATIENCE_S[1] if left_alone else self._patience_s)

    def _hear_master(self) -> bool:
        letters = list(self._world.receive())
        for _, tag, content in letters:
            if tag is Tag.SHUT_DOWN:
                self._keeper.send_home()
            elif tag is Tag.TRIAL:
                self._keeper.submit(content)
            elif tag is Tag.STOP:
                self._keeper.stop(content.trial_id, content.grace_s)
            elif tag is Tag.DISBAND:
                self._keeper.disband(content)
            elif tag is Tag.MEETING:
                self._keeper.pass_on(content)
        if MASTER in self._world.failed:
            self._keeper.send_home()
        return bool(letters)

    def _hear_child(self) -> bool:
        if events := self._keeper.poll():
            self._tell(events)
        return bool(events)

    def _tell(self, events: list[Event]) -> None:
        self._spoke_s = time.monotonic()
        self._world.send(MASTER, Tag.EVENTS, events)
