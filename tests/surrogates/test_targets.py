import math
from statistics import NormalDist

import numpy as np
import pytest

from deephpo.surrogates.targets import Ranking, normal_scores


def test_scores_are_normal_quantiles_of_the_ranks():
    scores = normal_scores(np.array([30.0, -5.0, 7.0, 1e9]))
    assert scores == pytest.approx([NormalDist().inv_cdf((rank + 0.5) / 4) for rank in (2, 0, 1, 3)])


def test_ties_share_the_score_of_their_mean_rank():
    scores = normal_scores(np.array([1.0, 2.0, 2.0, 2.0, 3.0]))
    assert scores == pytest.approx([NormalDist().inv_cdf(p) for p in (0.1, 0.5, 0.5, 0.5, 0.9)])


def test_failures_share_the_highest_ranks_and_stay_finite():
    scores = normal_scores(np.array([math.inf, 0.0, 5.0, math.inf]))
    assert np.isfinite(scores).all()
    assert scores[0] == scores[3] == pytest.approx(NormalDist().inv_cdf(0.75))
    assert scores[1] < scores[2] < scores[0]


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0], [math.inf, math.inf]])
def test_values_that_tell_nothing_apart_score_zero(values):
    assert normal_scores(np.array(values)) == pytest.approx(np.zeros(len(values)))


def test_the_scale_of_the_values_does_not_matter():
    values = np.random.default_rng(0).normal(size=50)
    assert (normal_scores(values) == normal_scores(np.exp(5 * values) - 3)).all()


class TestRanking:
    def test_the_given_values_have_their_own_normal_scores(self):
        values = np.random.default_rng(0).integers(20, size=50).astype(float)
        assert (Ranking(values).scores(values[7:9]) == normal_scores(values)[7:9]).all()

    def test_another_value_lies_between_its_neighbours(self):
        ranking = Ranking(np.array([1.0, 2.0, 3.0, 4.0]))
        assert ranking.scores(np.array([2.7])) == pytest.approx(0.0)
        low, between, high = ranking.scores(np.array([1.0, 1.5, 2.0]))
        assert low < between < high

    def test_a_new_best_and_a_new_worst_are_beyond_all_but_not_far(self):
        values = np.arange(100.0)
        ranking = Ranking(values)
        lowest, *_, highest = ranking.scores(values)
        best, worst, failed = ranking.scores(np.array([-1e9, 1e9, math.inf]))
        assert lowest - 0.5 < best < lowest
        assert highest < worst == failed < highest + 0.5

    def test_scores_move_little_while_the_values_grow_by_a_64th(self):
        values = np.random.default_rng(1).lognormal(size=6500)
        then, now = Ranking(values[:6400]), Ranking(values)
        assert np.abs(then.scores(values) - now.scores(values)).max() < 0.35
        assert np.median(np.abs(then.scores(values) - now.scores(values))) < 0.01
