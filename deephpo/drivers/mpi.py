"""The MPI driver: rank 0 is the master, every other rank a worker, as halves side by side.

No rank ever waits in MPI: each looks for messages and sleeps (a blocked receive is a busy loop in every
MPI that was measured), and sends without waiting.  There is no collective between start-up and the end.
mpi4py is imported here and nowhere else.

The master may have tens of thousands of workers, so nothing that it does for one message, or at one look, is
work for each of them.

Under ``mpirun --with-ft ulfm`` (Open MPI 5) a killed rank is an event among others.  MPI_Finalize may hang
after that, so then every rank leaves with ``os._exit`` as soon as all goodbyes are said.  While all live they
call MPI_Finalize together: a rank that leaves without is announced to all as dead, and of a hundred at once
mpirun's own pipes break, which it takes for the job's failure.  Should it fail or hang, they leave without.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import partial
from multiprocessing.connection import wait
from threading import Timer
from typing import Any

from deephpo.drivers.keeper import Keeper, assignments
from deephpo.drivers.launch import launch_of
from deephpo.engine.events import Event, Start, Stop, WorkerAlive, WorkerGone, WorkerReady
from deephpo.engine.patience import PATIENCE_S, longer
from deephpo.errors import LaunchError, MissingPackageError, how_to_install
from deephpo.worker.limits import GRACE_S
from deephpo.worker.messages import Meeting
from deephpo.worker.workplace import Workplace

MASTER = 0
FAREWELL_S = 30.0
"""How long the master waits for its workers' goodbyes before it ends the job by force, and a rank for
MPI_Finalize, under an MPI that survives a death, before it leaves without."""
PULSE_S = 10.0
"""A worker that has nothing to say says so, this often."""
LEASE_S = 120.0
"""A worker that does not even say that is lost after this time: its node hangs, or its network."""
BUSY_PATIENCE_S = 0.1
"""A worker whose trial runs is woken by what its child says; the master rarely has news for it."""

_MOST_AT_ONCE = 1000
_MOST_UNDERWAY = 8
"""After so many that are still under way, no more of what was sent is tested until the next look: a test that
fails takes about a microsecond, as MPI looks after all its messages before it says no."""


class Tag(IntEnum):
    """What a message is; one tag for each meaning.

    A meeting goes from worker to worker, the last two go to the master, the others from it.
    """

    WORKPLACE = 1
    TRIAL = 2
    STOP = 3
    SHUT_DOWN = 4
    FAREWELL = 5
    MEETING = 6
    EVENTS = 7
    GOODBYE = 8


class World:
    """This process's place among the ranks of the job, and its letter box."""

    def __init__(self, mpi: Any) -> None:
        self._mpi = mpi
        self._comm = mpi.COMM_WORLD
        self._comm.Set_errhandler(mpi.ERRORS_RETURN)
        self._status = mpi.Status()
        self._sent: deque[Any] = deque()
        """What may still be under way, each with the memory that it is read from."""
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size
        self.survives = os.environ.get("OMPI_MCA_mpi_ft_enable") == "1"  # noqa: SIM112  (it is written so)
        """Whether this MPI goes on when a rank dies, and says so."""
        self._sent_home: set[int] = set()
        self.failed: set[int] = set()
        """The ranks that died, as far as MPI told us."""
        self._unmourned: list[int] = []
        self.cores = self._owned_cores()
        """How many cores this rank's trials own: a core that k workers may use counts 1/k for each."""

    def receive(self, most: int = _MOST_AT_ONCE) -> Iterator[tuple[int, Tag, Any]]:
        """Yield the messages that are there: source, tag, content."""
        self._let_go()
        for _ in range(most):
            try:
                if not self._comm.Iprobe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, self._status):
                    return
                source, tag = self._status.Get_source(), self._status.Get_tag()
                letter = bytearray(self._status.Get_count(self._mpi.BYTE))
                # Its size is known, so that MPI need not be asked a second time, as its own recv() does.
                self._comm.Recv([letter, self._mpi.BYTE], source, tag)
            except self._mpi.Exception as error:
                self._note_failure(error)
                continue
            yield source, Tag(tag), pickle.loads(letter)

    def send(self, rank: int, tag: Tag, content: Any = None) -> None:
        """Send without waiting."""
        self.send_all([rank], tag, content)

    def send_all(self, ranks: Iterable[int], tag: Tag, content: Any = None) -> None:
        """Send the same to many without waiting; it is pickled once, and read by all from the same memory."""
        letter = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
        for rank in ranks:
            try:
                # Kept until it is through: a send that is given up may never arrive.
                self._sent.append(self._comm.Isend([letter, self._mpi.BYTE], rank, tag))
            except self._mpi.Exception as error:
                self._note_failure(error)

    def send_home(self, worker: int) -> None:
        """Tell a worker to end; once, since nobody would receive it a second time."""
        if worker not in self._sent_home and worker not in self.failed:
            self._sent_home.add(worker)
            self.send(worker, Tag.SHUT_DOWN)

    def flush(self, deadline_s: float) -> None:
        """Wait until everything that was sent is through, at most until this time of the monotonic clock."""
        while self._sent and time.monotonic() < deadline_s:
            self._let_go()
            time.sleep(PATIENCE_S[0])

    def newly_failed(self) -> list[int]:
        """Return the ranks of which this was not told before that they died."""
        ranks, self._unmourned = self._unmourned, []
        return ranks

    def leave(self, exit_code: int, everybody_left: bool = True) -> int:
        """End MPI; returns the exit code where this process may end as any other."""
        if not everybody_left:
            # Abort(0) does not end the others; and a rank is lost, so all is not as it was asked.
            self._comm.Abort(exit_code or 75)
        sys.stdout.flush()
        sys.stderr.flush()
        if self.failed:
            os._exit(exit_code)
        if self.survives:
            self._finalize_or_exit(exit_code)
        else:
            self._mpi.Finalize()
        return exit_code

    def _finalize_or_exit(self, exit_code: int) -> None:
        """End MPI, or this process, if MPI_Finalize fails or hangs because a rank dies or hangs only now."""
        # mpi4py's own, a last resort, holds the GIL all the time, so that the watchdog would not wake up.
        finalize = getattr(ctypes.CDLL(self._mpi.__file__), "MPI_Finalize", self._mpi.Finalize)
        watchdog = Timer(FAREWELL_S, os._exit, [exit_code])
        watchdog.start()
        if finalize():
            os._exit(exit_code)
        watchdog.cancel()

    def _let_go(self) -> None:
        """Let go of what is through: once a look, as once a send would be work for all workers squared."""
        underway = 0
        for _ in range(len(self._sent)):
            request = self._sent.popleft()
            if not self._is_through(request):
                self._sent.append(request)
                underway += 1
                if underway == _MOST_UNDERWAY:
                    return

    def _is_through(self, request: Any) -> bool:
        try:
            return bool(request.Test())
        except self._mpi.Exception as error:
            self._note_failure(error)
            return True

    def _note_failure(self, error: Any) -> None:
        """Take note of dead ranks; raises the error again if it is about anything else."""
        known = (self._mpi.ERR_PROC_FAILED, self._mpi.ERR_PROC_FAILED_PENDING, self._mpi.ERR_REVOKED)
        if error.Get_error_class() not in known:
            raise error
        self._comm.Ack_failed(self.size)
        dead = self._comm.Get_failed()
        ranks = dead.Translate_ranks(list(range(dead.size)), self._comm.group)
        self._unmourned += sorted(set(ranks) - self.failed)
        self.failed.update(ranks)

    def _owned_cores(self) -> float:
        """Return how many cores this rank owns; a collective over the ranks of one node."""
        mine = os.sched_getaffinity(0)
        try:
            node = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
            ranks_cores = node.allgather((self.rank, sorted(mine)))
            node.Free()
        except self._mpi.Exception as error:
            self._note_failure(error)
            return 1.0
        # The master computes too, but little and seldom: its cores count as the workers'.
        others = [set(cores) for rank, cores in ranks_cores if rank != MASTER]
        return sum(1.0 / max(1, sum(core in cores for cores in others)) for core in mine)


def join_world() -> World:
    """Start MPI, and return this process's place in it.

    Raises MissingPackageError or LaunchError when there is no MPI, or it is not the one that started us.
    """
    mpi = _load_mpi()
    size, announced = mpi.COMM_WORLD.size, launch_of()
    if size == 1 and announced.size > 1:
        raise LaunchError(
            f"{announced.launcher} started {announced.size} tasks, but MPI sees a world of one: launcher and "
            "MPI library do not fit together. Use the mpirun of the MPI that mpi4py was built with, "
            "or another srun --mpi= (`srun --mpi=list` shows them; pmix for Open MPI, pmi2 for MPICH)."
        )
    if size == 1:
        raise LaunchError(
            "A search over MPI needs a master and a worker, two ranks at least: mpirun -n 2 ..."
        )
    return World(mpi)


def _load_mpi() -> Any:
    try:
        import mpi4py
    except ImportError:
        raise MissingPackageError("mpi4py", "A search over MPI", "openmpi") from None
    mpi4py.rc(initialize=False, finalize=False, recv_mprobe=False)  # some networks lack matched probes
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise LaunchError(
            f"mpi4py is installed, but finds no MPI library ({reason}): load the site's MPI module, "
            f"or {how_to_install('openmpi')}."
        ) from None
    if not MPI.Is_initialized():  # it may be, where a program calls the command line as a function
        MPI.Init_thread(MPI.THREAD_FUNNELED)
    return MPI


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
        """Let a worker's part of a trial end that is over."""
        self._world.send(stop.worker, Tag.STOP, stop.trial_id)

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
            keeper = Keeper(world.rank, workplace, world.cores, partial(_post, world))
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


def _leave_signals_to_the_master() -> None:
    """Outlive the signals with which launchers announce the end: a rank that dies of one ends the job."""
    # They are caught rather than ignored: what is ignored stays so in the child.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: None)


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
            wait(self._keeper.sources, BUSY_PATIENCE_S if self._keeper.busy else self._patience_s)

    def _hear_master(self) -> bool:
        letters = list(self._world.receive())
        for _, tag, content in letters:
            if tag is Tag.SHUT_DOWN:
                self._keeper.send_home()
            elif tag is Tag.TRIAL:
                self._keeper.submit(content)
            elif tag is Tag.STOP:
                self._keeper.stop(content)
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
