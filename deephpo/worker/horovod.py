"""Horovod over the processes of one trial: its Gloo controller, in children that know nothing of MPI.

The leader's process runs the rendezvous server of Horovod's own launcher.  So a gang can be formed anew for
each trial, of any processes, and its death hurts nobody else; no part of it needs MPI, and a Horovod that was
built with MPI or NCCL too will do as long as Gloo is among what it was built with.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from deephpo.errors import UserError
from deephpo.worker.environment import environment
from deephpo.worker.network import interface_towards_others
from deephpo.worker.place import Place
from deephpo.worker.rendezvous import Rendezvous

_CAUSE_FIRST_S = 1.5
"""So long a process whose collective operation failed keeps that to itself: as a rule another one died or
raised, and why it did is to be heard first.  Less than the time in which it must end by then."""
_PATIENCE_S = 24 * 3600
"""How long the processes wait for each other; Horovod's own half minute is less than some need to load their
data, and its end is an abort.  For one that died nobody waits: its trial is over, and so are their parts."""


class HorovodError(UserError):
    """Horovod cannot be had."""


@contextmanager
def horovod_over(rendezvous: Rendezvous) -> Iterator[ModuleType]:
    """Yield ``horovod.tensorflow``, initialised over the processes of the trial; shut down at the end.

    Raises HorovodError where Horovod is not installed, or is in use by this trial already.
    """
    hvd = _load()
    if hvd.is_initialized():
        raise HorovodError("ctx.horovod() is in use already: leave its `with` before the next one.")
    place = rendezvous.place
    where = rendezvous.agree(lambda: _listen(place))
    with environment(_variables(place, where)):
        hvd.init()
    try:
        yield hvd
    except _failures_of_operations():
        if place.size > 1:
            hvd.shutdown()
            time.sleep(_CAUSE_FIRST_S)
        raise
    finally:
        hvd.shutdown()


def _failures_of_operations() -> tuple[type[Exception], ...]:
    """Return what a collective operation raises that cannot be carried out, for whatever reason."""
    import tensorflow as tf
    from horovod.common.exceptions import HorovodInternalError

    return tf.errors.UnknownError, HorovodInternalError


def _load() -> ModuleType:
    try:
        import horovod.tensorflow as hvd
    except ImportError:
        raise HorovodError(
            f"ctx.horovod() needs Horovod, which {sys.executable} does not have: in a clone of deephpo "
            f"`jobs/build_horovod.sh {sys.executable}` builds it against the TensorFlow that is there."
        ) from None
    module: ModuleType = hvd
    return module


def _listen(place: Place) -> str:
    """Prepare the server for this gang; returns its address."""
    from horovod.runner.common.util.hosts import SlotInfo

    server, port = _server()
    places = [Place(rank, place.workers, place.hosts) for rank in range(place.size)]
    server.init(
        [
            SlotInfo(p.host, p.rank, p.local_rank, p.cross_rank, p.size, p.local_size, p.cross_size)
            for p in places
        ]
    )
    return f"{interface_towards_others(place).address}:{port}"


@cache
def _server() -> tuple[Any, int]:
    """Start the server, once for this process: its end would take half a second each time."""
    from horovod.runner.http.http_server import RendezvousServer

    state = random.getstate()
    try:
        server = RendezvousServer()
        return server, server.start()
    finally:
        # It draws its port from the generator that the trial may just have seeded.
        random.setstate(state)


def _variables(place: Place, where: str) -> dict[str, str]:
    """Return what Horovod's own launcher would set; what the user set stays where they may."""
    address, port = where.rsplit(":", 1)
    return {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": os.environ.get("HOROVOD_GLOO_IFACE") or interface_towards_others(place).name,
        "HOROVOD_GLOO_TIMEOUT_SECONDS": os.environ.get("HOROVOD_GLOO_TIMEOUT_SECONDS") or str(_PATIENCE_S),
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": address,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": port,
        "HOROVOD_HOSTNAME": place.host,
        "HOROVOD_RANK": str(place.rank),
        "HOROVOD_SIZE": str(place.size),
        "HOROVOD_LOCAL_RANK": str(place.local_rank),
        "HOROVOD_LOCAL_SIZE": str(place.local_size),
        "HOROVOD_CROSS_RANK": str(place.cross_rank),
        "HOROVOD_CROSS_SIZE": str(place.cross_size),
    }
