import numpy as np
import pytest

from deephpo import Float, Space
from deephpo.surrogates import forest as forest_module
from deephpo.surrogates import trees as trees_module
from deephpo.surrogates.forest import RENEWAL, ROWS_PER_FIT, ROWS_PER_POINT, TREES, ForestSurrogate
from deephpo.surrogates.protocol import Moment
from deephpo.surrogates.targets import normal_scores
from deephpo.surrogates.trees import MOST_PER_TREE

RNG = np.random.default_rng
FLOOR = 1e-3
"""The least standard deviation that the forest admits to."""


def bowl(X):
    return ((X - 0.4) ** 2).sum(axis=1)


def data(n, d=3, seed=0):
    X = RNG(seed).random((n, d)).astype(np.float32)
    return X, bowl(X) + 0.05 * RNG(seed + 1).normal(size=n)


def forest_of(kind="forest", seed=0, trees=TREES, d=3):
    encoding = Space([Float(f"x{j}", 0, 1) for j in range(d)]).encoding()
    return ForestSurrogate(encoding, np.random.SeedSequence(seed), kind, trees)


def fit(forest, X, y, places=None):
    """Let a forest learn rows as if they had been told in this order."""
    places = np.arange(len(y)) if places is None else places
    forest.renew(Moment(len(y), lambda: y), 1)
    forest.fit(X, places, y)
    return forest


def fitted(kind="forest", n=80, seed=0):
    return fit(forest_of(kind, seed), *data(n))


@pytest.fixture(params=["forest", "extra-trees"])
def kind(request):
    return request.param


@pytest.fixture
def candidates():
    return RNG(9).random((150, 3)).astype(np.float32)


def from_scratch(forest, X, y, candidates):
    """Mean and std of the candidates by grouping what the trend leaves by leaf, tree by tree."""
    y = y - forest.trend(X)
    means, variances = [], []
    for tree in forest._trees:
        leaves = tree.leaves(X)
        groups = [y[leaves == leaf] for leaf in tree.leaves(candidates)]
        means.append([group.mean() for group in groups])
        variances.append([group.var() for group in groups])
    means, variances = np.array(means), np.array(variances)
    # The law of total variance, naively.
    mean = forest.trend(candidates) + means.mean(axis=0)
    return mean, np.maximum(np.sqrt(variances.mean(axis=0) + means.var(axis=0)), FLOOR)


def check(posterior, forest, X, y, candidates):
    mean, std = from_scratch(forest, X, y, candidates)
    assert posterior.belief()[0] == pytest.approx(mean)
    assert posterior.belief()[1] == pytest.approx(std)


def test_mean_and_std_follow_the_law_of_total_variance_over_the_trees(kind, candidates):
    forest = fitted(kind)
    check(forest.posterior(candidates), forest, *data(80), candidates)


def test_the_belief_about_some_candidates_is_that_about_all(kind, candidates):
    posterior = fitted(kind).posterior(candidates)
    some = np.array([3, 99, 4])
    for of_some, of_all in zip(posterior.belief(some), posterior.belief(), strict=True):
        assert (of_some == of_all[some]).all()


@pytest.mark.parametrize("most", [40, 4096])
def test_all_trees_hold_all_observations_at_their_present_targets(kind, candidates, most, monkeypatch):
    monkeypatch.setattr(trees_module, "MOST_PER_TREE", most)
    X, y = data(120)
    forest = forest_of(kind)
    for n in (60, 65, 120):
        targets = normal_scores(y[:n])
        fit(forest, X[:n], targets)
        check(forest.posterior(candidates), forest, X[:n], targets, candidates)


class TestLearning:
    """A result, a lie and a result in place of a lie are one operation."""

    @pytest.mark.parametrize("at_once", [1, 5, 20, 40])
    def test_new_targets_are_leaf_statistics_from_scratch(self, kind, candidates, at_once):
        X, y = data(120)
        forest = fit(forest_of(kind), X, y[:80])
        posterior = forest.posterior(candidates)
        for k in range(80, 120, at_once):
            posterior.learn(X, np.arange(k, k + at_once), y[k : k + at_once])
            check(posterior, forest, X[: k + at_once], y[: k + at_once], candidates)

    @pytest.mark.parametrize("at_once", [1, 20])
    def test_truth_takes_the_place_of_a_lie_without_a_trace(self, kind, candidates, at_once):
        X, y = data(120)
        forest = fit(forest_of(kind), X, y[:80])
        posterior = forest.posterior(candidates)
        posterior.learn(X, np.arange(80, 120), RNG(3).normal(size=40))
        for k in range(80, 120, at_once):
            posterior.learn(X, np.arange(k, k + at_once), y[k : k + at_once])
        check(posterior, forest, X, y, candidates)

    @pytest.mark.parametrize("bulk", [1, 1000])
    def test_it_tells_which_candidates_it_concerns(self, candidates, bulk, monkeypatch):
        monkeypatch.setattr(forest_module, "_BULK", bulk)
        X, y = data(84)
        posterior = fit(forest_of(), X, y[:80]).posterior(candidates)
        before = posterior.belief()[0].copy()
        which = posterior.learn(X, np.arange(80, 84), y[80:] + 5)
        told = np.zeros(150, dtype=bool)
        told[which] = True
        assert (posterior.belief()[0] != before).any()
        assert (posterior.belief()[0] == before)[~told].all()

    def test_rows_between_are_met_though_nothing_is_believed_of_them(self, candidates):
        X, y = data(100)
        forest = fit(forest_of(), X[:80], y[:80])
        posterior = forest.posterior(candidates)
        posterior.learn(X, np.array([90]), y[90:91])
        known = np.r_[0:80, 90]
        check(posterior, forest, X[known], y[known], candidates)

    def test_the_forest_itself_learns_as_its_posterior_does(self, kind, candidates):
        X, y = data(120)
        forest = fit(forest_of(kind), X, y[:80])
        forest.learn(X, np.arange(80, 120), y[80:])
        check(forest.posterior(candidates), forest, X, y, candidates)

    def test_a_long_life_of_lies_and_truths_does_not_drift_from_a_forest_fitted_afresh(self, kind):
        """2,000 results in place of 2,000 lies, against counting everything from scratch."""
        X, y = data(2300)
        candidates = data(500, seed=5)[0]
        forest = fit(forest_of(kind), X[:300], y[:300])
        posterior = forest.posterior(candidates)
        for k in range(300, 2300):
            posterior.learn(X, np.array([k]), np.array([1e3 * RNG(k).normal()]))
            posterior.learn(X, np.array([k]), y[k : k + 1])
        mean, std = from_scratch(forest, X, y, candidates)
        assert posterior.belief()[0] == pytest.approx(mean, abs=1e-7)
        assert posterior.belief()[1] == pytest.approx(std, abs=1e-4)


class TestTaking:
    """A candidate becomes a row: its leaves are known already."""

    def test_it_is_as_if_the_row_had_been_learnt(self, kind, candidates):
        X, y = data(80)
        forest = fitted(kind)
        posterior = forest.posterior(candidates)
        lies = RNG(2).normal(size=40)
        for k, lie in enumerate(lies):
            posterior.take(k, 80 + k, lie)
        rows = np.concatenate([X, candidates[:40]])
        check(posterior, forest, rows, np.concatenate([y, lies]), candidates)
        truths = RNG(3).normal(size=40)
        posterior.learn(rows, np.arange(80, 120), truths)
        check(posterior, forest, rows, np.concatenate([y, truths]), candidates)

    def test_without_a_lie_nothing_is_believed_of_it_until_it_is_told(self, candidates):
        X, y = data(80)
        forest = fitted()
        posterior = forest.posterior(candidates)
        assert len(posterior.take(5, 80, np.nan)) == 0
        check(posterior, forest, X, y, candidates)
        rows = np.concatenate([X, candidates[5:6]])
        posterior.learn(rows, np.array([80]), np.array([3.0]))
        check(posterior, forest, rows, np.append(y, 3.0), candidates)

    def test_the_models_own_mean_as_a_lie_moves_no_mean_much_but_narrows_the_std(self, kind, candidates):
        posterior = fitted(kind).posterior(candidates)
        mean, std = (belief[7] for belief in posterior.belief())
        for k in range(20):
            posterior.take(7, 80 + k, posterior.belief()[0][7])
        assert posterior.belief()[0][7] == pytest.approx(mean, abs=std / 2)
        assert posterior.belief()[1][7] < 0.5 * std

    def test_rows_that_came_otherwise_are_forgotten(self, candidates):
        X, y = data(90)
        forest = fit(forest_of(), X[:80], y[:80])
        forest.posterior(candidates).take(0, 80, 9.0)
        forest.forget(80)
        forest.fit(X, np.arange(90), y)
        check(forest.posterior(candidates), forest, X, y, candidates)


def test_what_is_expected_of_a_row_is_the_trend_and_the_mean_of_its_leaves(kind):
    X, y = data(100)
    forest = fit(forest_of(kind), X, y[:80])
    expected, _ = from_scratch(forest, X[:80], y[:80], X[80:])
    assert forest.expect(np.arange(80, 100)) == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "step"), [("forest", 0.0), ("extra-trees", 0.2)])
def test_extremely_randomised_trees_expect_to_find_better_where_all_rows_point_to(kind, step):
    """Half of the slope, 2 times 0.2 beyond the outermost rows; where trees alone are constant."""
    X, _ = data(60)
    X = 0.2 + 0.6 * X
    y = X[:, 0] - X[:, 1]
    corners = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]], dtype=np.float32)
    forest = fit(forest_of(kind), X, y)
    outside, _ = forest.posterior(corners).belief()
    inside, _ = forest.posterior(0.2 + 0.6 * corners).belief()
    assert outside - inside == pytest.approx([-step, step], abs=0.05)


def test_a_fit_forgets_what_was_only_believed(kind, candidates):
    X, y = data(100)
    forest = fit(forest_of(kind), X, y[:80])
    forest.learn(X, np.arange(80, 100), np.full(20, 1e3))
    forest.fit(X, np.arange(80), y[:80])
    check(forest.posterior(candidates), forest, X[:80], y[:80], candidates)


def test_the_order_in_which_rows_were_told_is_not_that_in_which_they_stand(kind, candidates):
    X, y = data(100)
    places = RNG(3).permutation(100)[:70]
    forest = fit(forest_of(kind), X, y[places], places)
    check(forest.posterior(candidates), forest, X[places], y[places], candidates)


class TestRenewal:
    def test_the_oldest_trees_are_grown_anew_and_the_others_kept(self, kind):
        forest, (X, y) = forest_of(kind), data(100)
        fit(forest, X[:80], y[:80])
        first = list(forest._trees)
        fit(forest, X[:83], y[:83])
        second = list(forest._trees)
        renewed = [t for t in range(TREES) if second[t] is not first[t]]
        assert renewed == list(range(len(renewed)))
        assert 1 <= len(renewed) <= TREES / 2
        fit(forest, X[:86], y[:86])
        assert forest._trees[0] is second[0]
        assert forest._trees[len(renewed)] is not second[len(renewed)]

    def test_while_there_are_few_no_tree_was_grown_on_much_less_than_there_is_now(self):
        forest, (X, y) = forest_of(), data(120)
        born = {}
        for n in [*range(10, 60), *range(60, 121, 7)]:
            fit(forest, X[:n], y[:n])
            born = {tree: born.get(tree, n) for tree in forest._trees}
            assert len(born) == TREES
            assert min(born.values()) >= (1 - RENEWAL) * n

    @pytest.mark.parametrize("q", [1, 1024])
    def test_a_fit_costs_no_more_however_many_observations_came(self, q):
        forest, (X, y) = forest_of(), data(9000)
        fit(forest, X[:1000], y[:1000])
        before = list(forest._trees)
        forest.renew(Moment(9000, lambda: y), q)
        forest.fit(X, np.arange(9000), y)
        grown = sum(now is not then for now, then in zip(forest._trees, before, strict=True))
        assert grown == (ROWS_PER_FIT + ROWS_PER_POINT * q) // MOST_PER_TREE < TREES

    def test_the_forest_is_a_function_of_the_renewals_and_the_last_fit(self, kind, candidates):
        """So it can be had again without the fits between, as when a search is resumed."""
        X, y = data(400)
        lived, grown_again = forest_of(kind), forest_of(kind)
        for n in (20, 24, 30, 50, 90, 100, 115, 190, 395, 400):
            places = np.arange(n)
            moment = Moment(n, lambda n=n, y=y: y[:n])
            lived.renew(moment, 3)
            lived.fit(X, places, normal_scores(y[:n]))
            lived.learn(X, np.arange(n, 400), np.full(400 - n, 0.3))
            grown_again.renew(moment, 3)
        y = RNG(3).permutation(y)  # all of them were told again
        lived.fit(X, np.arange(400), normal_scores(y))
        grown_again.fit(X, np.arange(400), normal_scores(y))
        for a, b in zip(*(f.posterior(candidates).belief() for f in (lived, grown_again)), strict=True):
            assert (a == b).all()

    def test_another_seed_gives_another_forest(self, kind, candidates):
        means = [fitted(kind, seed=seed).posterior(candidates).belief()[0] for seed in (1, 1, 2)]
        assert (means[0] == means[1]).all()
        assert (means[0] != means[2]).any()


def test_a_forest_that_learnt_online_is_as_good_as_a_fresh_one(kind, candidates):
    X, y = data(300)
    truth = bowl(candidates)

    def error(posterior):
        return np.sqrt(np.mean((posterior.belief()[0] - truth) ** 2))

    online = forest_of(kind)
    for n in range(30, 301, 3):
        fit(online, X[:n], y[:n])
    fresh = fit(forest_of(kind, seed=1), X, y).posterior(candidates)
    online = online.posterior(candidates)
    assert error(online) < 1.15 * error(fresh)
    assert np.corrcoef(online.belief()[0], fresh.belief()[0])[0, 1] > 0.95
    assert np.median(online.belief()[1] / fresh.belief()[1]) == pytest.approx(1, abs=0.15)


def test_a_tree_is_grown_on_a_bounded_sample_that_holds_the_best():
    n = MOST_PER_TREE + 2000
    X = RNG(0).random((n, 2)).astype(np.float32)
    y = X[:, 0].astype(np.float64)
    forest = fit(forest_of("extra-trees", seed=1, trees=4, d=2), X, y)
    best = np.argsort(y)[:100]
    assert forest.posterior(X[best]).belief()[0] == pytest.approx(y[best], abs=1e-6)
    leaves = [len(np.unique(tree.leaves(X))) for tree in forest._trees]
    assert max(leaves) <= MOST_PER_TREE
    assert forest.count.sum() == 4 * n


def test_equal_targets_leave_a_small_but_positive_std(kind, candidates):
    posterior = fit(forest_of(kind), data(30)[0], np.full(30, 2.0)).posterior(candidates)
    assert posterior.belief()[0] == pytest.approx(np.full(150, 2.0))
    assert posterior.belief()[1] == pytest.approx(np.full(150, FLOOR), rel=1e-3)


def test_a_forest_without_trees_says_so():
    with pytest.raises(RuntimeError, match="renew"):
        forest_of().posterior(data(3)[0])
