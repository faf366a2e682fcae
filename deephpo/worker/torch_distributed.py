"""PyTorch's own process group over the processes of one trial: it comes with PyTorch, ready built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from deephpo.errors import UserError
from deephpo.worker.environment import environment
from deephpo.worker.network import interface_towards_others
from deephpo.worker.rendezvous import Rendezvous

_INTERFACE = "GLOO_SOCKET_IFNAME"


class TorchError(UserError):
    """PyTorch cannot be had."""


@contextmanager
def torch_over(rendezvous: Rendezvous, device: str) -> Iterator[ModuleType]:
    """Yield ``torch.distributed``, with a process group over the processes of the trial; gone at the end.

    device: as ``ctx.device``; on NVIDIA's the group talks by NCCL, else by Gloo.  Raises TorchError where
    PyTorch is not installed.
    """
    dist = _load()
    place = rendezvous.place
    interface = interface_towards_others(place)
    stores: list[Any] = []

    def listen() -> str:
        stores.append(dist.TCPStore(interface.address, 0, place.size, True, wait_for_workers=False))
        return f"{interface.address}:{stores[0].port}"

    address, port = rendezvous.agree(listen).rsplit(":", 1)
    store = stores[0] if stores else dist.TCPStore(address, int(port), place.size, False)
    backend = "nccl" if device.startswith("gpu") and dist.is_nccl_available() else "gloo"
    with environment({_INTERFACE: os.environ.get(_INTERFACE) or interface.name}):
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size)
    try:
        yield dist
    finally:
        dist.destroy_process_group()


def _load() -> ModuleType:
    try:
        import torch.distributed as dist
    except ImportError:
        raise TorchError(
            "ctx.torch() needs PyTorch, which is not installed here: pip install torch, or the build for "
            "your machine as pytorch.org says."
        ) from None
    module: ModuleType = dist
    return module
