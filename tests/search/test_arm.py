import numpy as np
import pytest

from deephpo.search.arm import PROCESS_UNTIL, Arm, search_of
from deephpo.search.create import create_search
from deephpo.search.generation import Generation
from deephpo.search.hand_over import HandOver
from deephpo.space.parameters import Float
from deephpo.space.space import Space
from deephpo.surrogates.blend import Blend
from deephpo.surrogates.forest import ForestSurrogate
from deephpo.surrogates.gaussian_process import GaussianProcess

SPACE = Space([Float("x", 0, 1), Float("y", 0, 1)])
SEED = np.random.SeedSequence(2)


@pytest.mark.parametrize("surrogate", ["gp", "blend"])
def test_a_process_has_a_forest_for_its_heir_and_all_else_stays(surrogate):
    arm = Arm(surrogate, "hle", "ei", 0.1, tau=0.2)
    assert arm.heir == Arm("extra-trees", "hle", "ei", 0.1, lie="believer", tau=0.2)
    assert Arm(surrogate, lie="min").heir.lie == "min"
    assert Arm("forest").heir == Arm("forest")


@pytest.mark.parametrize("surrogate", ["forest", "extra-trees"])
def test_a_forest_goes_on_for_ever(surrogate):
    search = search_of(Arm(surrogate), SPACE.encoding(), SEED)
    assert isinstance(search.surrogate, ForestSurrogate)


@pytest.mark.parametrize(("surrogate", "model"), [("gp", GaussianProcess), ("blend", Blend)])
def test_a_process_is_followed_by_its_heir(surrogate, model):
    search = search_of(Arm(surrogate), SPACE.encoding(), SEED)
    assert isinstance(search, HandOver)
    assert search.at == PROCESS_UNTIL
    assert isinstance(search.first.surrogate, model)
    assert isinstance(search.then.surrogate, ForestSurrogate)


def test_the_heir_knows_all_that_was_found_before():
    search = create_search("auto", SPACE, seed=1)

    def loss(config):
        return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2

    encoding = SPACE.encoding()
    for config in encoding.decode(encoding.sample(PROCESS_UNTIL - 3, np.random.default_rng(0))):
        search.learn(config, loss(config))
    values = []
    for _ in range(20):
        (trial,) = search.ask()
        values.append(loss(trial.config))
        search.tell(trial, values[-1])
    assert np.median(values[3:]) < 0.01  # of random ones 0.1


def test_a_drawn_weight_is_another_one_for_each_point_of_an_ask(monkeypatch):
    weights = []
    weigh = Generation.weigh
    monkeypatch.setattr(Generation, "weigh", lambda self, score: (weights.append(1), weigh(self, score)))
    search = create_search("single", SPACE, surrogate="forest", lie="believer", schedule="drawn")
    for trial in search.ask(12):
        search.tell(trial, trial.config["x"])
    search.ask(20)
    assert len(weights) == 19  # the first weight is that of a new generation
