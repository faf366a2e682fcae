import numpy as np
import pytest

from deephpo.search.generation import Generation
from deephpo.space.arrays import key
from deephpo.surrogates.protocol import ALL

ROWS = np.arange(40, dtype=np.float32).reshape(-1, 1)


class Table:
    """A posterior that can be read off: candidate i is expected to be worth i, a lie moves its neighbours."""

    def __init__(self):
        self.means, self.stds = np.arange(40.0), np.ones(40)
        self.taken = []

    def belief(self, which=ALL):
        return self.means[which], self.stds[which]

    def take(self, index, place, y):
        self.taken.append((index, place, y))
        return self._move(np.arange(index, min(index + 3, 40)), 50.0)

    def learn(self, X, places, y):
        return self._move(np.asarray(places), y)

    def _move(self, which, y):
        self.means[which] = y
        return which


@pytest.fixture
def posterior():
    return Table()


def bound(kappa):
    return lambda mean, std: mean - kappa * std


@pytest.fixture
def generation(posterior):
    return Generation(ROWS, posterior, bound(2.0))


def test_the_lowest_bound_is_picked(posterior, generation):
    assert generation.pick(set(), set()) == 0
    posterior.stds[30] = 100.0
    assert Generation(ROWS, posterior, bound(2.0)).pick(set(), set()) == 30
    assert Generation(ROWS, posterior, bound(0.0)).pick(set(), set()) == 0


def test_what_was_picked_tried_or_taken_is_not_picked(generation):
    tried, taken = {key(ROWS[1]), key(ROWS[2])}, {key(ROWS[3])}
    assert [generation.pick(tried, taken) for _ in range(3)] == [0, 4, 5]


def test_nothing_is_left_when_everything_was_tried(generation):
    assert generation.pick(set(map(key, ROWS)), set()) is None


def test_a_pick_sees_what_was_believed_of_those_before(posterior, generation):
    index = generation.pick(set(), set())
    generation.take(index, 7, generation.mean(index))
    assert posterior.taken == [(0, 7, 0.0)]
    assert generation.pick(set(), set()) == 3


def test_a_pick_sees_results(generation):
    generation.learn(ROWS, np.array([20]), np.array([-5.0]))
    assert generation.mean(20) == -5.0
    assert generation.pick(set(), set()) == 20


def test_what_was_picked_stays_so_whatever_is_learnt_of_it(generation):
    assert generation.pick(set(), set()) == 0
    generation.learn(ROWS, np.array([0]), np.array([-100.0]))
    assert generation.pick(set(), set()) == 1


def test_it_counts_its_picks(generation):
    assert [generation.picks, generation.pick(set(), {key(ROWS[0])}), generation.picks] == [0, 1, 1]


def test_in_place_of_a_best_that_was_tried_any_other_is_drawn(posterior):
    tried = {key(ROWS[0]), key(ROWS[1])}
    picks = [
        Generation(ROWS, posterior, bound(2.0)).pick(tried, set(), np.random.default_rng(seed))
        for seed in range(60)
    ]
    assert min(picks) >= 2
    assert len(set(picks)) > 20
    free = Generation(ROWS, posterior, bound(2.0)).pick(set(), set(), np.random.default_rng(0))
    assert free == 0


def test_candidates_may_be_scored_anew_in_another_way(posterior):
    posterior.stds[30] = 100.0
    generation = Generation(ROWS, posterior, bound(0.0))
    assert generation.pick(set(), set()) == 0
    generation.weigh(bound(10.0))
    assert generation.pick(set(), set()) == 30
    generation.weigh(bound(0.0))
    assert generation.pick(set(), set()) == 1


def test_after_one_at_random_the_scores_are_as_they_were(posterior):
    generation = Generation(ROWS, posterior, bound(2.0))
    drawn = generation.pick({key(ROWS[0])}, set(), np.random.default_rng(5))
    assert drawn > 1
    assert generation.pick(set(), set(), np.random.default_rng(5)) == 1
