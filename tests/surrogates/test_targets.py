import math
from statistics import NormalDist

import numpy as np
import pytest

from deephpo.surrogates.targets import Ranking, hybrid_log_error, log_error, normal_scores, targets_named


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


class TestDeepBosTransforms:
    def test_the_hybrid_logarithm_has_the_values_of_the_original(self):
        errors = np.array([0.9, 0.3, 0.1, 0.05, 0.01, 0.001, 0.0])
        expected = [0.9, 0.3, -0.1771, -0.4782, -1.1771, -2.1771, -4.1771]
        assert hybrid_log_error(errors) == pytest.approx(expected, abs=5e-5)

    def test_the_logarithm_of_an_error_goes_from_0_to_1(self):
        assert log_error(np.array([1.0, 0.1, 1e-5, 0.0])) == pytest.approx([1.0, 0.8, 0.0, 0.0])

    def test_accuracies_that_are_maximised_are_errors(self):
        accuracies = np.array([0.1, 0.7, 0.9, 0.99])
        maximised, errors = (targets_named("hle")(v).scores(v) for v in (-accuracies, 1.0 - accuracies))
        assert maximised == pytest.approx(errors)


@pytest.mark.parametrize("name", ["rank", "raw", "log", "le", "hle"])
class TestEveryTarget:
    @pytest.mark.parametrize(
        "values",
        [
            np.linspace(0.001, 0.999, 40),
            np.linspace(-0.999, -0.001, 40),
            np.linspace(-0.9, 0.4, 40),
            np.linspace(-3.3, -1.2, 40),
            np.geomspace(1e-3, 1e20, 40),
            np.linspace(6.0, 7.0, 40),
        ],
        ids=["errors", "accuracies", "both signs", "below -1", "a heavy tail", "far from 0"],
    )
    def test_lower_stays_lower(self, name, values):
        scores = targets_named(name)(values).scores(values)
        assert (np.diff(scores) > 0).all()
        assert np.abs(scores).max() < 20

    def test_the_order_of_the_first_ones_is_the_same_when_more_is_known(self, name):
        values = np.append(1e-3 * np.random.default_rng(1).random(30), [1e20, -5.0, math.inf])
        order = np.argsort(targets_named(name)(values).scores(values)[:30])
        assert (order == np.argsort(values[:30])).all()

    def test_a_newcomer_is_not_far_from_the_given_ones(self, name):
        targets = targets_named(name)(np.array([0.1, 0.2, 0.3]))
        given, new = (targets.scores(np.array(v)) for v in ([0.1, 0.2, 0.3], [-1e308, 1e308, math.inf]))
        assert min(given) - 1.5 < new[0] <= min(given)
        assert max(given) <= new[1] <= new[2] < max(given) + 1.5

    def test_failures_are_above_all_that_succeeded(self, name):
        values = np.array([0.5, math.inf, 0.1, 0.9, math.inf])
        scores = targets_named(name)(values).scores(values)
        assert scores[1] == scores[4] > max(scores[[0, 2, 3]])

    @pytest.mark.parametrize(
        "values",
        [
            [1e308, -1e308, 0.0, 1e-308],
            [5.0],
            [2.0, 2.0],
            [math.inf, math.inf],
            [math.inf, 3.0],
            [1e12, 1.0, 1.1, 1.2],
            [-3.0, -2.0, -1.0],
        ],
        ids=str,
    )
    def test_no_value_makes_it_infinite_or_nan(self, name, values):
        targets = targets_named(name)(np.array(values))
        scores = targets.scores(np.array([*values, -1e308, 0.0, 1e308, math.inf]))
        assert np.isfinite(scores).all()

    def test_the_scale_is_about_one(self, name):
        values = np.random.default_rng(0).random(200)
        scores = targets_named(name)(values).scores(values)
        assert scores.mean() == pytest.approx(0.0, abs=0.1)
        assert scores.std() == pytest.approx(1.0, abs=0.1)


def test_tau_is_where_the_hybrid_logarithm_begins():
    values = np.array([0.05, 0.1, 0.2, 0.4])
    early, late = (targets_named("hle", tau)(values).scores(values) for tau in (0.01, 0.3))
    slope = (early[-1] - early[0]) / 0.35
    assert np.diff(early) / np.diff(values) == pytest.approx(slope, rel=1e-4)
    assert late[1] - late[0] > late[3] - late[2]
