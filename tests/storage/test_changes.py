from dataclasses import replace

import pytest

from deephpo import Categorical, Fidelity, Float, Integer, Ordinal, Space
from deephpo.problem import Declaration
from deephpo.storage.changes import Changes, changes_between

LR = Float("lr", 1e-4, 1e-1, log=True)
DROPOUT = Float("dropout", 0.0, 0.5, step=0.125)
LAYERS = Integer("layers", 1, 5, step=2)
OPTIMIZER = Categorical("optimizer", ["adam", "sgd"], default="adam")
MOMENTUM = Float("momentum", 0.0, 0.99, when={"optimizer": "sgd"})
NESTEROV = Categorical("nesterov", [True, False])
PARAMETERS = [LR, DROPOUT, LAYERS, NESTEROV, OPTIMIZER, MOMENTUM]
FORBIDDEN = [{"optimizer": "adam", "nesterov": True}]
DEMO = Declaration("demo", Space(PARAMETERS, forbidden=FORBIDDEN), "loss", fidelity=Fidelity("epoch", 50))


def with_space(*parameters, forbidden=FORBIDDEN):
    return replace(DEMO, space=Space(parameters, forbidden=forbidden))


def instead(old, new):
    """Return the problem with another parameter in the place of one."""
    return with_space(*(new if parameter is old else parameter for parameter in PARAMETERS))


def test_nothing_changed():
    assert changes_between(DEMO, DEMO) == Changes()


def test_what_went_through_the_journal_is_no_change():
    assert changes_between(Declaration.from_dict(DEMO.to_dict()), DEMO) == Changes()


def test_the_name_of_a_run_means_nothing():
    assert changes_between(DEMO, replace(DEMO, name="other")) == Changes()


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (instead(LR, replace(LR, high=1.0)), "the bounds of 'lr' were 0.0001 to 0.1 and are 0.0001 to 1"),
        (instead(LR, replace(LR, low=1e-5)), "the bounds of 'lr' were 0.0001 to 0.1 and are 1e-05 to 0.1"),
        (instead(LAYERS, replace(LAYERS, high=9)), "the bounds of 'layers' were 1 to 5 and are 1 to 9"),
        (
            instead(DROPOUT, replace(DROPOUT, low=-0.25)),
            "the bounds of 'dropout' were 0 to 0.5 and are -0.25 to 0.5",
        ),
        (instead(LR, replace(LR, default=0.01)), "the default of 'lr' changed"),
        (instead(OPTIMIZER, replace(OPTIMIZER, default="sgd")), "the default of 'optimizer' changed"),
        (
            replace(DEMO, start=({"lr": 0.1, "dropout": 0.0, "layers": 1, "optimizer": "adam"},)),
            "the starting points are others; those that were not tried yet are not made up for",
        ),
        (replace(DEMO, optimum=0.5), "optimum was None and is 0.5"),
        (replace(DEMO, trial_timeout_s=60.0), "trial_timeout_s was None and is 60.0"),
        (replace(DEMO, trial_memory_bytes=2**30), "trial_memory_bytes was None and is 1073741824"),
        (replace(DEMO, resumable=True), "resumable was False and is True"),
    ],
)
def test_what_leaves_the_observations_their_meaning_is_harmless(now, sentence):
    assert changes_between(DEMO, now) == Changes(harmless=(sentence,))


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (replace(DEMO, objective="accuracy"), "the objective was 'loss' and is 'accuracy'"),
        (replace(DEMO, direction="maximize"), "the direction was 'minimize' and is 'maximize'"),
        (
            replace(DEMO, fidelity=Fidelity("epoch", 100)),
            "the fidelity was Fidelity(name='epoch', high=50) and is Fidelity(name='epoch', high=100)",
        ),
        (replace(DEMO, fidelity=None), "the fidelity was Fidelity(name='epoch', high=50) and is None"),
        (with_space(*PARAMETERS, forbidden=[]), "the forbidden combinations are others"),
        (with_space(*PARAMETERS[:-1]), "the parameter 'momentum' is gone"),
        (with_space(*PARAMETERS, Float("decay", 0.0, 1.0)), "the parameter 'decay' is new"),
        (with_space(*PARAMETERS[1:], LR), "the parameters stand in another order"),
        (
            instead(OPTIMIZER, replace(OPTIMIZER, choices=["adam", "sgd", "lion"])),
            "'optimizer' has other choices",
        ),
        (instead(OPTIMIZER, replace(OPTIMIZER, choices=["sgd", "adam"])), "'optimizer' has other choices"),
        (
            instead(OPTIMIZER, Ordinal("optimizer", ["adam", "sgd"], default="adam")),
            "'optimizer' was a Categorical of 'adam', 'sgd' and is an Ordinal of 'adam', 'sgd'",
        ),
        (
            instead(LR, Integer("lr", 0, 1)),
            "'lr' was a Float from 0.0001 to 0.1 (log) and is an Integer from 0 to 1",
        ),
        (instead(LR, replace(LR, log=False)), "'lr' has another scale or step"),
        (instead(DROPOUT, replace(DROPOUT, step=0.25)), "'dropout' has another scale or step"),
        (instead(DROPOUT, replace(DROPOUT, step=None)), "'dropout' has another scale or step"),
        (
            instead(LR, replace(LR, low=1e-3)),
            "the bounds of 'lr' were 0.0001 to 0.1 and are 0.001 to 0.1, which is narrower",
        ),
        (
            instead(LAYERS, replace(LAYERS, high=4)),
            "the bounds of 'layers' were 1 to 5 and are 1 to 4, which is narrower",
        ),
        (
            instead(LR, replace(LR, low=1e-3, high=1.0)),
            "the bounds of 'lr' were 0.0001 to 0.1 and are 0.001 to 1, which is narrower",
        ),
        (
            instead(LAYERS, replace(LAYERS, low=0)),
            "the bounds of 'layers' were 1 to 5 and are 0 to 5, and its steps fall on other values",
        ),
        (
            instead(DROPOUT, replace(DROPOUT, low=-0.1)),
            "the bounds of 'dropout' were 0 to 0.5 and are -0.1 to 0.5, and its steps fall on other values",
        ),
        (
            instead(MOMENTUM, Float("momentum", 0.0, 0.99)),
            "'momentum' is active under another condition",
        ),
    ],
)
def test_what_takes_their_meaning_is_harmful(now, sentence):
    assert changes_between(DEMO, now).harmful == (sentence,)


def test_all_changes_are_told_in_the_order_of_the_parameters():
    parameters = [LR, NESTEROV, replace(LAYERS, high=7), replace(DROPOUT, high=0.625), Integer("units", 1, 9)]
    now = replace(with_space(*parameters, forbidden=[]), objective="acc", optimum=1.0)
    assert changes_between(DEMO, now) == Changes(
        harmless=(
            "the bounds of 'dropout' were 0 to 0.5 and are 0 to 0.625",
            "the bounds of 'layers' were 1 to 5 and are 1 to 7",
            "optimum was None and is 1.0",
        ),
        harmful=(
            "the objective was 'loss' and is 'acc'",
            "the forbidden combinations are others",
            "the parameter 'optimizer' is gone",
            "the parameter 'momentum' is gone",
            "the parameter 'units' is new",
        ),
    )
