"""Under which address this machine is reached."""

import socket

import pytest

from deephpo.errors import LaunchError
from deephpo.worker.network import LOOPBACK, Interface, _address_of, interface_towards


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_through_the_loopback(host):
    assert interface_towards(host) == LOOPBACK


def test_every_interface_with_an_address_is_known_by_it():
    addresses = {name: _address_of(name) for _, name in socket.if_nameindex()}
    assert addresses[LOOPBACK.name] == LOOPBACK.address
    for name, address in addresses.items():
        if address is not None and name != LOOPBACK.name:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
                server.bind((address, 0))  # it is this machine's own


def test_what_does_not_exist_has_no_address():
    assert _address_of("no-such-iface") is None


def test_another_host_is_reached_through_an_interface_of_this_machine():
    try:
        towards = interface_towards("192.0.2.1")  # nobody's, by RFC 5737: nothing is sent there
    except LaunchError:
        pytest.skip("this machine has no way out")
    assert towards in [Interface(name, _address_of(name)) for _, name in socket.if_nameindex()]


def test_a_host_that_nobody_knows_is_named_with_what_is_to_be_done():
    with pytest.raises(LaunchError) as error:
        interface_towards("node-17.invalid")
    sentence = str(error.value)
    assert sentence.startswith(f"{socket.gethostname()} finds no way to node-17.invalid")
    assert sentence.endswith("the hosts of a job must know each other's names.")
