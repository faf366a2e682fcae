"""What is wrong with where the ranks of a job are."""

from dataclasses import replace

import pytest

from deephpo.drivers.placement import Seat, flaws_of
from deephpo.hardware.devices import Kind

GPUS = ("0", "1")


def seats(*hosts):
    """Return seats with a GPU for each of two workers of a host; the first host has the master too."""
    workers = [(host, gpu) for host in hosts for gpu in GPUS]
    ranks = [Seat(rank, host, 4.0, Kind.CUDA, (gpu,), GPUS) for rank, (host, gpu) in enumerate(workers, 1)]
    return [Seat(0, hosts[0], 0.0, Kind.NONE, (), ()), *ranks]


def test_one_worker_for_each_gpu_is_as_it_should_be():
    assert flaws_of(seats("a", "b")) == []


def test_without_gpus_nothing_is_missed():
    assert flaws_of([replace(seat, devices=(), seen=(), kind=Kind.NONE) for seat in seats("a", "b")]) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s[:-1], "a has 2 workers, b 1: deal the ranks out round robin"),
        (lambda s: [replace(s[0], host="c"), *s[1:]], "c has the master alone"),
        (lambda s: [replace(seat, cores=0.5) for seat in s], "a: 2 workers share 1 core: ask for more"),
        (lambda s: [replace(seat, seen=("0", "1", "2")) for seat in s], "a: 1 of 3 GPUs belong to no worker"),
        (lambda s: [*s[:4], replace(s[4], devices=(), seen=())], "b: some workers have no GPU"),
    ],
)
def test_what_is_wrong_is_said_with_its_cure(change, sentence):
    flaws = flaws_of(change(seats("a", "b")))
    assert any(sentence in flaw for flaw in flaws)
