import math

import pytest

from deephpo.errors import OptionError
from deephpo.stopping.curve import Subject
from deephpo.stopping.interval import Interval

ACCURACY, LOSS = Subject("accuracy", "maximize"), Subject("loss")


@pytest.mark.parametrize(
    ("values", "step"),
    [([0.3, 0.19], 2), ([0.0, 0.2, 1.0], None), ([0.01], 1), ([-0.1, 0.9], None), ([math.nan], None)],
)
def test_the_first_value_between_the_two_stops(train, values, step):
    verdict = train(Interval(ACCURACY), ACCURACY, values)
    assert (verdict and verdict[0]) == step


def test_the_two_are_in_the_direction_of_the_user(train):
    rule = Interval(LOSS, low=2.25, high=2.35)
    assert train(rule, LOSS, [3.0, 2.303, 2.0]) == (2, "2.303 is between 2.25 and 2.35")


def test_an_interval_with_nothing_in_it_is_refused():
    with pytest.raises(OptionError) as error:
        Interval(ACCURACY, low=0.2)
    assert str(error.value) == "The stopping rule 'interval': high must be above low, which is 0.2, not 0.2."


@pytest.mark.parametrize("said", [{}, {"low": 2.25}, {"high": 2.35}])
def test_what_is_minimized_must_be_told_both(said):
    with pytest.raises(OptionError) as error:
        Interval(LOSS, **said)
    assert str(error.value) == (
        "The stopping rule 'interval' is made for accuracies, which are bad between 0 and 0.2; 'loss' is "
        "minimized, and may be good there: say between which values a trial is hopeless, "
        "interval:low=...,high=...."
    )
    Interval(ACCURACY, **{**said, "low": 0.1})
