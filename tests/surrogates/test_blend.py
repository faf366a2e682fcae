import numpy as np
import pytest

from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space
from deephpo.surrogates.blend import PROCESS_SHARE, Blend
from deephpo.surrogates.forest import ForestSurrogate
from deephpo.surrogates.gaussian_process import GaussianProcess
from deephpo.surrogates.protocol import Moment

SPACE = Space(
    [
        Float("x", 0, 1),
        Integer("n", 1, 9, when={"kind": "a"}),
        Categorical("kind", ["a", "b", "c"]),
    ]
)
ENCODING = SPACE.encoding()
X = ENCODING.sample(60, np.random.default_rng(0))
CANDIDATES = ENCODING.sample(40, np.random.default_rng(1))
Y = np.sin(5 * X[:, 0]) + (X[:, 2] > 0.5)
PLACES = np.arange(60)


def parts():
    return (
        GaussianProcess(ENCODING, np.random.SeedSequence(3)),
        ForestSurrogate(ENCODING, np.random.SeedSequence(4), "extra-trees"),
    )


def fitted(model, n=50):
    model.renew(Moment(n, lambda: Y[:n]), 1)
    model.fit(X[:n], PLACES[:n], Y[:n])
    return model


def average(process, forest):
    return PROCESS_SHARE * process + (1 - PROCESS_SHARE) * forest


def test_it_believes_the_average_of_what_both_believe():
    blend = fitted(Blend(*parts())).posterior(CANDIDATES).belief()
    process, forest = (fitted(part).posterior(CANDIDATES).belief() for part in parts())
    for mine, of_process, of_forest in zip(blend, process, forest, strict=True):
        assert mine == pytest.approx(average(of_process, of_forest))
        assert mine != pytest.approx(of_process)


def test_both_learn_what_is_told_between_two_posteriors():
    blend, *apart = (fitted(one) for one in (Blend(*parts()), *parts()))
    for one in (blend, *apart):
        one.learn(X, PLACES[50:], Y[50:])
        one.learn(X, PLACES[:20], Y[:20] - 1.0)
    mine, process, forest = (one.posterior(CANDIDATES).belief() for one in (blend, *apart))
    for k in range(2):
        assert mine[k] == pytest.approx(average(process[k], forest[k]))
    known = PLACES[:50]
    assert blend.expect(known) == pytest.approx(average(*(one.expect(known) for one in apart)))


def test_it_expects_the_average_of_what_both_expect():
    process, forest = (fitted(part).expect(PLACES[:50]) for part in parts())
    assert fitted(Blend(*parts())).expect(PLACES[:50]) == pytest.approx(average(process, forest))


def test_both_learn_what_it_learns():
    posterior = fitted(Blend(*parts())).posterior(CANDIDATES)
    apart = [fitted(part).posterior(CANDIDATES) for part in parts()]
    for one in (posterior, *apart):
        one.learn(X, PLACES[50:], Y[50:])
        one.take(7, 60, -1.0)
    mine, process, forest = (one.belief() for one in (posterior, *apart))
    assert mine[0] == pytest.approx(average(process[0], forest[0]))
    assert mine[1] == pytest.approx(average(process[1], forest[1]))


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (lambda posterior: posterior.take(7, 50, 0.3), True),
        (lambda posterior: posterior.take(7, 50, np.nan), False),
        (lambda posterior: posterior.learn(X, PLACES[:0], Y[:0]), False),
        (lambda posterior: posterior.learn(X, PLACES[50:52], Y[50:52]), True),
        (lambda posterior: posterior.learn(X, PLACES[:20], -Y[:20]), True),
    ],
    ids=["a lie", "no lie", "nothing", "two", "many"],
)
def test_it_says_which_beliefs_have_changed(change, changes):
    posterior = fitted(Blend(*parts())).posterior(CANDIDATES)
    before = [part.copy() for part in posterior.belief()]
    changed = np.zeros(len(CANDIDATES), dtype=bool)
    changed[change(posterior)] = True
    for now, then in zip(posterior.belief(), before, strict=True):
        assert (now != then).any() == changes
        assert (now[~changed] == then[~changed]).all()


def test_what_was_asked_beyond_a_place_is_forgotten():
    blend = fitted(Blend(*parts()))
    blend.posterior(CANDIDATES).take(7, 50, -3.0)
    blend.forget(50)
    again, never = fitted(blend), fitted(Blend(*parts()))
    assert (again.expect(PLACES[:50]) == never.expect(PLACES[:50])).all()
