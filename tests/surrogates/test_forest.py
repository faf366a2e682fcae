import numpy as np
import pytest

from deephpo.surrogates import forest as forest_module
from deephpo.surrogates.forest import MOST_PER_TREE, RENEWAL, ForestSurrogate
from deephpo.surrogates.targets import normal_scores

RNG = np.random.default_rng
FLOOR = 1e-3
"""The least standard deviation that the forest admits to."""


def bowl(X):
    return ((X - 0.4) ** 2).sum(axis=1)


def data(n, d=3, seed=0):
    X = RNG(seed).random((n, d)).astype(np.float32)
    return X, bowl(X) + 0.05 * RNG(seed + 1).normal(size=n)


def fitted(kind, n=80, seed=0):
    forest = ForestSurrogate(RNG(seed), kind)
    forest.fit(*data(n))
    return forest


@pytest.fixture(params=["forest", "extra-trees"])
def kind(request):
    return request.param


@pytest.fixture
def candidates():
    return RNG(9).random((150, 3)).astype(np.float32)


def total_variance(means, variances):
    """The law of total variance, naively; both of shape (T, c)."""
    mean = means.mean(axis=0)
    return mean, np.maximum(np.sqrt(variances.mean(axis=0) + means.var(axis=0)), FLOOR)


def from_scratch(forest, X, y, candidates):
    """Mean and std of the candidates by grouping all observations by leaf, tree by tree."""
    means, variances = [], []
    for tree in forest._trees:
        leaves = tree.leaves(X)
        groups = [y[leaves == leaf] for leaf in tree.leaves(candidates)]
        means.append([group.mean() for group in groups])
        variances.append([group.var() for group in groups])
    return total_variance(np.array(means), np.array(variances))


def test_mean_and_std_follow_the_law_of_total_variance_over_the_trees(kind, candidates):
    forest = fitted(kind)
    mean, std = from_scratch(forest, *data(80), candidates)
    posterior = forest.posterior(candidates)
    assert posterior.mean == pytest.approx(mean)
    assert posterior.std == pytest.approx(std)


@pytest.mark.parametrize("most", [40, 4096])
def test_all_trees_hold_all_observations_at_their_present_targets(kind, candidates, most, monkeypatch):
    monkeypatch.setattr(forest_module, "MOST_PER_TREE", most)
    X, y = data(120)
    forest = ForestSurrogate(RNG(0), kind)
    for n in (60, 65, 120):
        targets = normal_scores(y[:n])
        forest.fit(X[:n], targets)
        mean, std = from_scratch(forest, X[:n], targets, candidates)
        posterior = forest.posterior(candidates)
        assert posterior.mean == pytest.approx(mean)
        assert posterior.std == pytest.approx(std)


def test_a_tree_of_any_size_knows_its_leaves(monkeypatch):
    monkeypatch.setattr(forest_module, "MOST_PER_TREE", 40_000)
    X = RNG(0).random((40_000, 1)).astype(np.float32)
    forest = ForestSurrogate(RNG(0), "extra-trees", trees=2)
    forest.fit(X, X[:, 0].astype(np.float64))
    assert min(tree.nodes for tree in forest._trees) > 2**16
    one_by_one, bulk = forest.posterior(X[:3000]), forest.posterior(X[:3000])
    assert bulk.mean == pytest.approx(X[:3000, 0], abs=1e-4)
    for index in range(20):
        one_by_one.condition(np.array([index]), np.array([9.0]))
    bulk.condition(np.arange(20), np.full(20, 9.0))
    assert one_by_one.mean == pytest.approx(bulk.mean)


@pytest.mark.parametrize("at_once", [1, 5, 16, 40])
def test_conditioning_equals_leaf_statistics_from_scratch(candidates, at_once):
    forest, (X, y) = fitted("extra-trees"), data(80)
    posterior = forest.posterior(candidates)
    indices, lies = RNG(1).integers(150, size=40), RNG(2).normal(size=40)
    for k in range(0, 40, at_once):
        posterior.condition(indices[k : k + at_once], lies[k : k + at_once])
    seen = np.concatenate([X, candidates[indices[: k + at_once]]]), np.concatenate([y, lies[: k + at_once]])
    mean, std = from_scratch(forest, *seen, candidates)
    assert posterior.mean == pytest.approx(mean)
    assert posterior.std == pytest.approx(std)


def test_conditioning_one_by_one_equals_conditioning_in_bulk(kind, candidates):
    forest = fitted(kind)
    one_by_one, bulk = forest.posterior(candidates), forest.posterior(candidates)
    indices, lies = np.r_[np.arange(50), np.arange(10)], RNG(2).normal(size=60)
    for index, lie in zip(indices, lies, strict=True):
        one_by_one.condition(np.array([index]), np.array([lie]))
    bulk.condition(indices, lies)
    assert one_by_one.mean == pytest.approx(bulk.mean)
    assert one_by_one.std == pytest.approx(bulk.std)


def test_conditioning_leaves_the_surrogate_and_other_posteriors_alone(kind, candidates):
    forest = fitted(kind)
    conditioned, other = forest.posterior(candidates), forest.posterior(candidates)
    before = other.mean.copy()
    conditioned.condition(np.array([3]), np.array([100.0]))
    assert conditioned.mean[3] > before[3] + 1
    assert (other.mean == before).all()
    assert (forest.posterior(candidates).mean == before).all()


def test_the_models_own_mean_as_a_lie_moves_no_mean_much_but_narrows_the_std(kind, candidates):
    posterior = fitted(kind).posterior(candidates)
    mean, std = posterior.mean.copy(), posterior.std.copy()
    for _ in range(20):
        posterior.condition(np.array([7]), posterior.mean[[7]])
    assert posterior.mean[7] == pytest.approx(mean[7], abs=std[7] / 2)
    assert posterior.std[7] < 0.5 * std[7]


def test_the_same_generator_and_calls_give_the_same_forest(kind, candidates):
    def means(seed):
        forest = fitted(kind, seed=seed)
        X, y = data(90)
        forest.fit(X, y)
        return forest.posterior(candidates).mean

    assert (means(1) == means(1)).all()
    assert (means(1) != means(2)).any()


def test_new_observations_reach_the_trees_that_are_not_renewed(kind):
    forest, (X, y) = fitted(kind), data(80)
    old = set(map(id, forest._trees))
    before = forest.posterior(X[:1]).mean[0]
    forest.fit(np.concatenate([X, X[:1]]), np.append(y, 50.0))
    kept = [tree for tree in forest._trees if id(tree) in old]
    assert len(kept) > len(forest._trees) / 2
    assert all(tree.count.sum() == 81 for tree in forest._trees)
    assert forest.posterior(X[:1]).mean[0] > before + 10


def test_no_tree_was_grown_on_much_less_than_there_is_now():
    forest, (X, y) = ForestSurrogate(RNG(0)), data(120)
    born = {}
    for n in [*range(10, 60), *range(60, 121, 7)]:
        forest.fit(X[:n], y[:n])
        born = {tree: born.get(tree, n) for tree in forest._trees}
        assert len(born) == 32
        assert min(born.values()) >= (1 - RENEWAL) * n


def test_a_forest_that_learnt_online_is_as_good_as_a_fresh_one(kind, candidates):
    X, y = data(300)
    truth = bowl(candidates)

    def error(posterior):
        return np.sqrt(np.mean((posterior.mean - truth) ** 2))

    online, fresh = ForestSurrogate(RNG(0), kind), ForestSurrogate(RNG(1), kind)
    for n in range(30, 301, 3):
        online.fit(X[:n], y[:n])
    fresh.fit(X, y)
    online, fresh = online.posterior(candidates), fresh.posterior(candidates)
    assert error(online) < 1.15 * error(fresh)
    assert np.corrcoef(online.mean, fresh.mean)[0, 1] > 0.95
    assert np.median(online.std / fresh.std) == pytest.approx(1, abs=0.15)


def test_a_tree_is_grown_on_a_bounded_sample_that_holds_the_best():
    n = MOST_PER_TREE + 2000
    X = RNG(0).random((n, 2)).astype(np.float32)
    y = X[:, 0].astype(np.float64)
    forest = ForestSurrogate(RNG(1), "extra-trees", trees=4)
    forest.fit(X, y)
    assert max(tree.nodes for tree in forest._trees) < 2 * MOST_PER_TREE
    assert [tree.count.sum() for tree in forest._trees] == [n] * 4
    best = np.argsort(y)[:100]
    assert forest.posterior(X[best]).mean == pytest.approx(y[best], abs=1e-6)


def test_equal_targets_leave_a_small_but_positive_std(kind, candidates):
    forest = ForestSurrogate(RNG(0), kind)
    forest.fit(data(30)[0], np.full(30, 2.0))
    posterior = forest.posterior(candidates)
    assert posterior.mean == pytest.approx(np.full(150, 2.0))
    assert posterior.std == pytest.approx(np.full(150, FLOOR), rel=1e-3)
