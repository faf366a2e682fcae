"""When a search is at its end by what it has reached and spent."""

import pytest

from deephpo.engine.backlog import Backlog
from deephpo.engine.standing import HOPELESS_AFTER, Standing
from deephpo.engine.terms import Terms
from deephpo.trial import Outcome, TrialState


def standing(*values, backlog=None, **terms):
    """Return where a search stands after trials with these values; None is a failure."""
    here = Standing(Terms(**terms), backlog or Backlog())
    for k, value in enumerate(values):
        state = TrialState.FAILED if value is None else TrialState.COMPLETED
        here.take(Outcome(k, state, value, reason="NaN" if value is None else ""))
    return here


def test_without_an_end_there_is_none():
    assert standing(*[0.5] * 100).end(1e9) is None


@pytest.mark.parametrize(
    ("direction", "goal", "values", "reason"),
    [
        ("minimize", 0.1, [0.5, 0.2], None),
        ("minimize", 0.1, [0.5, 0.1, 0.3], "the goal of 0.1 is reached, with 0.1"),
        ("minimize", 0.1, [0.05], "the goal of 0.1 is reached, with 0.05"),
        ("maximize", 0.9, [0.5, 0.2, None], None),
        ("maximize", 0.9, [0.5, 0.95], "the goal of 0.9 is reached, with 0.95"),
        ("minimize", 0.0, [None], None),
        ("minimize", 0.0, [-1.0], "the goal of 0 is reached, with -1"),
    ],
)
def test_it_ends_with_its_goal(direction, goal, values, reason):
    assert standing(*values, direction=direction, goal=goal).end(0.0) == reason


@pytest.mark.parametrize(
    ("direction", "values", "ends"),
    [
        ("minimize", [0.5, 0.6, 0.7], False),
        ("minimize", [0.5, 0.6, 0.7, 0.8], True),
        ("minimize", [0.5, 0.6, 0.7, 0.4], False),
        ("minimize", [0.5, 0.6, None, 0.5], True),
        ("minimize", [None] * 10, False),  # nothing was reached that could stay as it is
        ("maximize", [0.5, 0.6, 0.7, 0.8], False),
        ("maximize", [0.5, 0.4, 0.3, 0.2], True),
    ],
)
def test_it_ends_when_so_many_in_a_row_brought_nothing_better(direction, values, ends):
    reason = standing(*values, direction=direction, plateau=3).end(0.0)
    assert reason == ("3 trials in a row were no better than 0.5" if ends else None)


def test_it_ends_when_the_hosts_were_there_for_long_enough():
    here = standing(0.5, node_hours=1.5)
    assert here.end(5399.9) is None
    assert here.end(5400.0) == "1.5 node-hours are used"


def test_a_stopped_trial_reaches_what_its_value_says():
    here = standing(goal=0.1, plateau=2)
    here.take(Outcome(0, TrialState.STOPPED, 0.3))
    assert here.end(0.0) is None
    here.take(Outcome(1, TrialState.STOPPED))
    assert here.end(0.0) is None
    here.take(Outcome(2, TrialState.STOPPED, 0.05))
    assert here.end(0.0) == "the goal of 0.1 is reached, with 0.05"
    assert (here.settled, here.succeeded) == (3, 2)


def test_what_was_reached_comes_before_what_was_spent():
    here = standing(0.05, 0.6, 0.7, goal=0.1, trials=3, plateau=2, node_hours=1.0)
    assert here.end(1e9) == "the goal of 0.1 is reached, with 0.05"
    assert standing(0.5, 0.6, 0.7, trials=3, plateau=2).end(0.0) == "all 3 trials are done"


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"goal": 0.2}, "the goal of 0.2 is reached, with 0.2"),
        ({"trials": 8}, "all 8 trials are done"),
        ({"plateau": 5}, "5 trials in a row were no better than 0.2"),
        ({"goal": 0.1, "trials": 9, "plateau": 6}, None),
    ],
)
def test_what_an_earlier_process_reached_counts(terms, reason):
    backlog = Backlog(suggested=8, settled=8, succeeded=7, best=0.2, since_best=frozenset(range(3, 8)))
    assert standing(backlog=backlog, **terms).end(0.0) == reason


def test_what_the_next_process_reaches_is_compared_with_it():
    backlog = Backlog(suggested=8, settled=8, succeeded=7, best=0.2, since_best=frozenset(range(3, 8)))
    here = standing(0.3, backlog=backlog, plateau=7)
    assert here.end(0.0) is None
    here.take(Outcome(9, TrialState.COMPLETED, 0.3))
    assert here.end(0.0) == "7 trials in a row were no better than 0.2"
    here.take(Outcome(10, TrialState.COMPLETED, 0.1))
    assert here.end(0.0) is None


def test_when_all_fail_there_is_no_hope_and_a_stopped_trial_is_no_failure():
    assert standing(*[None] * (HOPELESS_AFTER - 1)).despair() is None
    hopeless = standing(*[None] * HOPELESS_AFTER).despair()
    assert hopeless == f"all of the first {HOPELESS_AFTER} trials failed, most often: NaN"
    here = standing(*[None] * (HOPELESS_AFTER - 1))
    here.take(Outcome(99, TrialState.STOPPED))
    for k in range(HOPELESS_AFTER):
        here.take(Outcome(100 + k, TrialState.FAILED))
    assert here.despair() is None
