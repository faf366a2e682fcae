import gc
import weakref

import pytest

from deephpo.storage import freezer as module
from deephpo.storage.freezer import Freezer
from deephpo.storage.records import Started
from deephpo.storage.run_state import RunState


@pytest.fixture
def freezer(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 2)
    freezer = Freezer()
    yield freezer
    freezer.thaw()


@pytest.fixture
def _by_hand():
    """Let nothing be collected by itself."""
    gc.disable()
    yield
    gc.enable()


class Cycle:
    """Holds itself: nobody but the garbage collector frees it."""

    def __init__(self):
        self.itself = self


def in_sight(thing):
    """Return whether the garbage collector would look at a thing."""
    return any(found is thing for found in gc.get_objects())


def test_what_ended_is_out_of_the_collectors_sight(freezer, run_records):
    state = RunState(run_records(0.3, 0.2, None, finished=False))
    assert in_sight(state.trials[0])
    freezer.refresh(state)
    assert not in_sight(state.trials[0])


def test_it_is_set_aside_from_time_to_time_only(freezer, run_records):
    first, second, third = (RunState(run_records(*[0.5] * count)) for count in (1, 2, 3))
    freezer.refresh(first)
    later = RunState(run_records(*[0.5] * 3))
    freezer.refresh(second)
    assert in_sight(later.trials[0])
    freezer.refresh(third)
    assert not in_sight(later.trials[0])


@pytest.mark.usefixtures("_by_hand")
def test_a_cycle_that_is_dead_by_then_is_freed_and_not_set_aside(freezer, run_records):
    old = weakref.ref(Cycle())
    gc.freeze()
    gc.unfreeze()  # now it is among the oldest
    freezer.refresh(RunState(run_records(0.3)))
    assert old() is None
    young = weakref.ref(Cycle())
    freezer.refresh(RunState(run_records(*[0.5] * 3)))
    assert young() is None


def test_records_alone_do_nothing(freezer, run_records):
    state = RunState(run_records(0.3))
    freezer.note(Started(0.0, 0, 1), state)
    assert in_sight(state.trials[0])


def test_in_the_end_everything_is_in_sight_again(freezer, run_records):
    state = RunState(run_records(0.3))
    freezer.refresh(state)
    freezer.thaw()
    assert in_sight(state.trials[0])
    assert gc.get_freeze_count() == 0
