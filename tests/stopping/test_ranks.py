import numpy as np
import pytest

from deephpo.stopping.ranks import Dominance, Front, Least, Sorted


def test_of_one_loss_both_ranks_are_the_same():
    rng, by_order, by_dominance = np.random.default_rng(0), Sorted(), Dominance(1)
    for loss in rng.integers(0, 20, 50):
        point = (float(loss),)
        assert by_order.better_than(point) == by_dominance.better_than(point)
        by_order.enter(point)
        by_dominance.enter(point)
    assert len(by_order) == len(by_dominance) == 50


@pytest.mark.parametrize(
    ("point", "better"), [((2.0, 2.0), 1), ((1.0, 1.0), 0), ((3.0, 3.0), 4), ((0.0, 9.0), 1), ((3.0, 1.0), 1)]
)
def test_who_dominates(point, better):
    ranks = Dominance(2)
    for other in [(1.0, 1.0), (2.0, 2.0), (3.0, 1.0), (0.0, 3.0)]:
        ranks.enter(other)
    assert ranks.better_than(point) == better


class TestFront:
    def test_it_reaches_what_one_of_its_points_is_as_good_as(self):
        front = Front(2)
        assert not front.reaches((9.0, 9.0))
        front.add((1.0, 3.0))
        front.add((3.0, 1.0))
        assert front.reaches((1.0, 3.0))
        assert front.reaches((3.0, 3.0))
        assert not front.reaches((2.0, 2.0))
        assert not front.reaches((0.5, 9.0))

    def test_of_one_loss_it_is_the_smallest(self):
        front = Least()
        for loss in (3.0, 2.0, 4.0):
            front.add((loss,))
        assert front.reaches((2.0,))
        assert not front.reaches((1.9,))
