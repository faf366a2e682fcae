"""Under which address other hosts reach this one."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from deephpo.errors import LaunchError
from deephpo.worker.place import Place

_SIOCGIFADDR = 0x8915
_ANY_PORT = 9


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface and its address (IPv4)."""

    name: str
    address: str


LOOPBACK = Interface("lo", "127.0.0.1")


def interface_towards(host: str) -> Interface:
    """Return the interface through which a host is reached; raises LaunchError if there is none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, _ANY_PORT))  # of a datagram socket: nothing is sent
            address = str(probe.getsockname()[0])
    except OSError as error:
        raise LaunchError(
            f"{socket.gethostname()} finds no way to {host}, on which other ranks of this trial run "
            f"({error.strerror or error}); the hosts of a job must know each other's names."
        ) from None
    found = [name for _, name in socket.if_nameindex() if _address_of(name) == address]
    return Interface(found[0], address) if found else Interface(LOOPBACK.name, address)


def interface_towards_others(place: Place) -> Interface:
    """Return the interface towards the first of a trial's other hosts; all its ranks on a host take the same.

    Raises LaunchError if there is none.
    """
    others = [host for host in place.hosts if host != place.host]
    return interface_towards(others[0]) if others else LOOPBACK


def _address_of(interface: str) -> str | None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("256s", interface.encode()[:15])
        try:
            answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)
        except OSError:  # it has none
            return None
    return socket.inet_ntoa(answer[20:24])
