import math

import numpy as np
import pytest

from deephpo.surrogates.split import MOST_BAD, MOST_GOOD, Split


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 200, size=3000).astype(np.float64)
    values[rng.random(3000) < 0.3] = math.inf
    return values


def after(*told):
    split, known = Split(), np.empty(0)
    for values in told:
        values = np.asarray(values, dtype=np.float64)
        again = np.flatnonzero(known != values[: len(known)])
        news = np.concatenate([again, np.arange(len(known), len(values))])
        split.learn(values, news, int(np.isfinite(values).sum()))
        known = values.copy()
    return split


def test_the_good_are_the_lowest_and_of_equal_ones_the_first(values):
    split = after(values)
    assert split.good.tolist() == np.argsort(values, kind="stable")[:MOST_GOOD].tolist()


def test_it_is_the_same_in_however_many_steps_it_was_told(values):
    at_once, by_steps = after(values), after(*(values[:n] for n in (0, 1, 2, 40, 41, 700, 3000)))
    assert by_steps.good.tolist() == at_once.good.tolist()
    assert by_steps.bad.tolist() == at_once.bad.tolist()
    assert by_steps.bad_weight == at_once.bad_weight


def test_it_is_the_same_whatever_was_told_before(values):
    """Values are told again, the best ones above all; many of them are equal."""
    rng, split, known = np.random.default_rng(1), Split(), values.copy()
    split.learn(known, np.arange(3000), int(np.isfinite(known).sum()))
    looked_for_again = 0
    for _ in range(300):
        few = np.argsort(known, kind="stable")[:40]
        again = np.unique(np.append(rng.choice(few, size=2), rng.integers(3000, size=2)))
        known[again] = rng.choice([0.0, 1.0, 3.0, 4.0, 180.0, math.inf], size=len(again))
        split.learn(known, again, int(np.isfinite(known).sum()))
        fresh = after(known)
        looked_for_again += not set(split.good) <= set(few)
        assert split.good.tolist() == fresh.good.tolist()
        assert split.bad.tolist() == fresh.bad.tolist()
        assert split.bad_weight == fresh.bad_weight
    assert looked_for_again > 10


def test_few_that_succeeded_are_told_again():
    before, now = [3.0, math.inf, 1.0, math.inf], [math.inf, 2.0, 5.0, math.inf]
    assert after(before, now).good.tolist() == after(now).good.tolist() == [1]


def test_few_observations_are_all_good_or_bad():
    split = after([5.0, 1.0, math.inf, 3.0])
    assert split.good.tolist() == [1]
    assert split.bad.tolist() == [0, 2, 3]
    assert split.bad_weight == 1.0


def test_a_failure_is_never_good():
    split = after([math.inf] * 5)
    assert len(split.good) == 0
    assert split.bad.tolist() == [0, 1, 2, 3, 4]


def test_many_bad_ones_are_thinned_out_and_those_left_stand_for_all(values):
    split = after(values)
    assert MOST_BAD / 2 - MOST_GOOD < len(split.bad) <= MOST_BAD
    assert split.bad_weight * len(split.bad) == pytest.approx(3000 - MOST_GOOD)
    assert not set(split.bad) & set(split.good)


@pytest.mark.parametrize("n", [1, 2, MOST_BAD, MOST_BAD + 1, 10 * MOST_BAD])
def test_there_are_never_more_than_so_many(n):
    split = after(np.arange(n, dtype=np.float64))
    assert 1 <= len(split.good) <= MOST_GOOD
    assert len(split.bad) <= MOST_BAD
