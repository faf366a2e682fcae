"""Horovod over the processes of one trial: its Gloo controller, in children that know nothing of MPI.

The leader's process runs the rendezvous server of Horovod's own launcher.  So a gang can be formed anew for
each trial, of any processes, and its death hurts nobody else; no part of it needs MPI, and a Horovod that was
built with MPI or NCCL too will do as long as Gloo is among what it was built with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from deephpo.errors import UserError
from deephpo.worker.network import LOOPBACK, Interface, interface_towards
from deephpo.worker.place import Place
from deephpo.worker.rendezvous import Rendezvous


class HorovodError(UserError):
    """Horovod cannot be had."""


@contextmanager
def horovod_over(rendezvous: Rendezvous) -> Iterator[ModuleType]:
    """Yield ``horovod.tensorflow``, initialised over the processes of the trial; shut down at the end.

    Raises HorovodError where Horovod is not installed.
    """
    hvd = _load()
    place = rendezvous.place
    where = rendezvous.agree(lambda: _listen(place))
    before = dict(os.environ)
    os.environ.update(_variables(place, where))
    try:
        hvd.init()
    finally:
        # Read once; what the trial starts is not to take itself for a part of the gang.
        os.environ.clear()
        os.environ.update(before)
    try:
        yield hvd
    finally:
        hvd.shutdown()


def _load() -> ModuleType:
    try:
        import horovod.tensorflow as hvd
    except ImportError:
        raise HorovodError(
            "ctx.horovod() needs Horovod, which is not installed here: in a clone of deephpo `make horovod` "
            "builds it against the TensorFlow that is there, which takes some minutes."
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
    return f"{_interface(place).address}:{port}"


@cache
def _server() -> tuple[Any, int]:
    """Start the server, once for this process: its end would take half a second each time."""
    from horovod.runner.http.http_server import RendezvousServer

    server = RendezvousServer()
    return server, server.start()


def _interface(place: Place) -> Interface:
    """Return the interface towards the first of the other hosts; all ranks of a host take the same."""
    others = [host for host in place.hosts if host != place.host]
    return interface_towards(others[0]) if others else LOOPBACK


def _variables(place: Place, where: str) -> dict[str, str]:
    """Return what Horovod's own launcher would set; an interface that the user set stays."""
    address, port = where.rsplit(":", 1)
    return {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": os.environ.get("HOROVOD_GLOO_IFACE") or _interface(place).name,
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
