import copy
import itertools
import math

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space
from deephpo.surrogates.gaussian_process import GROWTH, SETS, GaussianProcess
from deephpo.surrogates.protocol import Moment

SPACE = Space(
    [
        Float("x", 0, 1),
        Float("y", 0, 1),
        Integer("n", 1, 9, when={"kind": "a"}),
        Categorical("kind", ["a", "b", "c"]),
    ]
)
ENCODING = SPACE.encoding()
X = ENCODING.sample(90, np.random.default_rng(0))
CANDIDATES = ENCODING.sample(40, np.random.default_rng(1))
Y = np.sin(5 * X[:, 0]) + (X[:, 3] > 0.5) + 0.1 * np.random.default_rng(2).normal(size=90)
PLACES = np.arange(90)


def moment(n, y=Y):
    """Return the moment at which the first n of these were known."""
    return Moment(n, lambda: y[:n])


def create(encoding=ENCODING):
    return GaussianProcess(encoding, np.random.SeedSequence(3))


def fitted(n=60):
    """Return a process that knows n observations, and has one set of hyperparameters only."""
    process = create()
    process.renew(moment(n), 1)
    process.fit(X, PLACES[:n], Y[:n])
    process.sets = process.sets[:1]
    return process


def fixed(process, X, places, y):
    """Return a process with the same hyperparameters that was fitted on other rows."""
    other = create()
    other.sets = process.sets
    other.fit(X, places, y)
    return other


def same_belief(one, other):
    for mine, theirs in zip(one.belief(), other.belief(), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-7)


def test_it_predicts_what_scikit_learn_predicts():
    space = Space([Float("x", 0, 1), Float("y", 0, 1)])
    encoding = space.encoding()
    X, candidates = (encoding.sample(50, np.random.default_rng(seed)) for seed in (0, 1))
    y = np.cos(4 * X[:, 0]) * X[:, 1]
    process = create(encoding)
    process.renew(moment(50, y), 1)
    process.fit(X, np.arange(50), y)
    learned = process.sets[0]
    process.sets = process.sets[:1]
    kernel = ConstantKernel(learned.scale) * Matern(learned.relevance**-0.5, nu=2.5)
    oracle = GaussianProcessRegressor(kernel + WhiteKernel(learned.noise), optimizer=None).fit(X, y)
    mean, std = oracle.predict(candidates, return_std=True)
    mine = process.posterior(candidates).belief()
    assert mine[0] == pytest.approx(mean, abs=1e-6)
    assert mine[1] ** 2 == pytest.approx(std**2 - learned.noise, abs=1e-6)


def test_a_row_more_is_the_same_as_a_fit_with_it():
    process = fitted()
    posterior = process.posterior(CANDIDATES)
    posterior.learn(X, PLACES[60:75], Y[60:75])
    again = fixed(process, X, PLACES[:75], Y[:75])
    same_belief(posterior, again.posterior(CANDIDATES))
    same_belief(process.posterior(CANDIDATES), again.posterior(CANDIDATES))


def test_a_candidate_that_was_taken_is_a_row():
    process = fitted()
    posterior = process.posterior(CANDIDATES)
    posterior.take(7, 60, -2.0)
    rows = np.concatenate([X[:60], CANDIDATES[[7]]])
    same_belief(posterior, fixed(process, rows, np.arange(61), np.append(Y[:60], -2.0)).posterior(CANDIDATES))


def test_a_result_takes_the_place_of_a_lie():
    process = fitted()
    process.learn(X, PLACES[60:64], np.full(4, -3.0))
    posterior = process.posterior(CANDIDATES)
    posterior.learn(X, PLACES[61:66], Y[61:66])
    places = np.array([*range(61), *range(61, 66)])
    targets = np.array([*Y[:60], -3.0, *Y[61:66]])
    same_belief(posterior, fixed(process, X, places, targets).posterior(CANDIDATES))


def test_a_point_of_which_nothing_is_believed_changes_nothing():
    process = fitted()
    posterior = process.posterior(CANDIDATES)
    before = [belief.copy() for belief in posterior.belief()]
    assert len(posterior.take(3, 60, math.nan)) == 0
    for mine, theirs in zip(posterior.belief(), before, strict=True):
        assert (mine == theirs).all()


def test_what_it_expects_of_rows_is_its_mean_there():
    process = fitted()
    assert process.expect(PLACES[70:75]) == pytest.approx(process.posterior(X[70:75]).belief()[0])


def test_a_fit_forgets_every_lie():
    process = fitted()
    process.learn(X, PLACES[60:70], np.full(10, 9.0))
    process.fit(X, PLACES[:60], Y[:60])
    same_belief(process.posterior(CANDIDATES), fitted().posterior(CANDIDATES))


def test_where_it_knows_a_lot_it_is_sure_and_right():
    process = fitted(90)
    mean, std = process.posterior(X).belief()
    assert np.corrcoef(mean, Y)[0, 1] > 0.95
    assert std.mean() < process.posterior(CANDIDATES).belief()[1].mean()


def test_skipped_fits_leave_the_same_model():
    every = create()
    for n in range(10, 91):
        every.renew(moment(n), 1)
        every.fit(X[:n], PLACES[:n], Y[:n])
    last = create()
    for n in range(10, 91):
        last.renew(moment(n), 1)
    last.fit(X, PLACES, Y)
    for _ in range(SETS):
        mine, theirs = (process.posterior(CANDIDATES).belief() for process in (every, last))
        assert (mine[0] == theirs[0]).all()
        assert (mine[1] == theirs[1]).all()


def test_skipped_fits_leave_the_same_model_where_targets_have_changed():
    """Hyperparameters are learned from what was known then, although it is known better now."""
    before = np.concatenate([Y[45:], Y[:45]])
    every, last = create(), create()
    for n in range(10, 51):
        every.renew(moment(n, before), 1)
        every.fit(X[:n], PLACES[:n], before[:n])
        last.renew(moment(n, before), 1)
    for process in (every, last):
        process.fit(X, PLACES[:51], Y[:51])
    assert [str(one) for one in every.sets] == [str(one) for one in last.sets]


def test_hyperparameters_are_learned_when_an_eighth_is_new(monkeypatch):
    process, learned = create(), []
    for n in range(8, 80):
        process.renew(moment(n), 1)
        before = process.sets
        process.fit(X, PLACES[:n], Y[:n])
        if process.sets is not before:
            learned.append(n)
    assert learned[0] == 8
    for earlier, later in itertools.pairwise(learned):
        assert later == math.ceil(earlier * (1 + GROWTH))


def test_rows_that_are_nearly_the_same_do_not_break_it():
    rows = np.repeat(X[:1], 40, axis=0)
    rows[:, 0] = np.linspace(0.5, 0.5 + 1e-6, 40)
    process = create()
    process.renew(moment(40, np.zeros(40)), 1)
    process.fit(rows, PLACES[:40], np.zeros(40))
    posterior = copy.copy(process.posterior(CANDIDATES))
    for k in range(10):
        posterior.take(k, 40 + k, 0.0)
    assert all(np.isfinite(belief).all() for belief in posterior.belief())


def test_sets_of_hyperparameters_take_turns():
    process = create()
    process.renew(moment(60), 1)
    process.fit(X, PLACES[:60], Y[:60])
    means = [process.posterior(CANDIDATES).belief()[0] for _ in range(2 * SETS)]
    assert len({mean.tobytes() for mean in means}) >= SETS - 1  # a walk may stay where it was
    assert all((one == other).all() for one, other in zip(means, means[SETS:], strict=False))
    process.fit(X, PLACES[:61], Y[:61])
    assert (process.posterior(CANDIDATES).belief()[1] < 2 * np.std(Y)).all()
