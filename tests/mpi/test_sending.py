"""What a master has under way to its workers: pickled once for all, and looked at a few at a time."""

import json

import pytest

pytestmark = pytest.mark.mpi

LETTERS = 1000

PROGRAM = """
import json, os, sys, time
from pathlib import Path
from deephpo.drivers import world as driver
from deephpo.drivers.mpi import dismiss, say_goodbye
from deephpo.drivers.world import MASTER, Tag, World, join_world

LETTERS, witness = {letters}, Path({witness!r})
# Too long to be handed over before the receiver asks for it, as a large declaration is.
LONG = 100_000


class Looking:
    '''The request of a real send that counts how often it is asked whether it is through.'''

    looks = 0

    def __init__(self, request):
        self._request = request

    def Test(self):
        Looking.looks += 1
        return self._request.Test()


class Communicator:
    '''The real communicator, but for the requests that it returns.'''

    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def Isend(self, *letter):
        return Looking(self._real.Isend(*letter))


class Mpi:
    '''The real MPI, but for its communicator.'''

    def __init__(self, real):
        self._real, self.COMM_WORLD = real, Communicator(real.COMM_WORLD)

    def __getattr__(self, name):
        return getattr(self._real, name)


class Content:
    pickled = 0

    def __reduce__(self):
        Content.pickled += 1
        return bytes, (bytes(LONG),)


driver.World = lambda real, share_gpus: World(Mpi(real), share_gpus)
world = join_world()
if world.rank != MASTER:
    while not witness.exists():
        time.sleep(0.01)
    received = 0
    while received < LETTERS:
        for _, tag, content in world.receive():
            assert (tag, content) == (Tag.WORKPLACE, bytes(LONG))
            received += 1
        time.sleep(0.001)
    for _ in iter(lambda: [tag for _, tag, _ in world.receive()], [Tag.SHUT_DOWN]):
        time.sleep(0.001)
    say_goodbye(world)
    world.leave(0)
    sys.exit()
counts = {{}}
world.send_all([1] * LETTERS, Tag.WORKPLACE, Content())
counts["pickled"], counts["while sending"] = Content.pickled, Looking.looks
list(world.receive())
counts["at one look"] = Looking.looks
witness.touch()
world.flush(time.monotonic() + 60)
counts["in all"] = Looking.looks
print(json.dumps(counts), flush=True)
sys.exit(world.leave(0, everybody_left=dismiss(world)))
"""


def test_what_goes_to_all_is_pickled_once_and_no_look_asks_for_all_that_is_under_way(
    mpirun_python, problem_file, tmp_path
):
    """The requests count how often they are asked; they, the ranks and all else are real."""
    program = problem_file(PROGRAM.format(letters=LETTERS, witness=str(tmp_path / "witness")))
    ended = mpirun_python(2, program)
    assert ended.returncode == 0, ended.stderr
    counts = json.loads(ended.stdout)
    assert (counts["pickled"], counts["while sending"]) == (1, 0)
    assert 0 < counts["at one look"] < LETTERS / 10
    assert counts["in all"] >= LETTERS
