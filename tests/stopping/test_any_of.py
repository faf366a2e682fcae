from deephpo.stopping.any_of import AnyOf
from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.curve import Subject
from deephpo.stopping.gradient import Gradient
from deephpo.stopping.interval import Interval
from deephpo.stopping.threshold import Threshold

LOSS = Subject("loss", last_step=8)


def test_of_several_reasons_the_first_rule_has_the_word(train):
    one, other = Interval(LOSS, low=0.8, high=1), Threshold(LOSS, at=1, value=0.5)
    assert train(AnyOf([one, other]), LOSS, [0.9]) == (1, "0.9 is between 0.8 and 1")
    assert train(AnyOf([other, one]), LOSS, [0.9]) == (1, "its best, 0.9, is worse than 0.5")
    assert train(AnyOf([other, one]), LOSS, [0.4, 0.9]) == (2, "0.9 is between 0.8 and 1")


def test_every_rule_sees_every_report(train):
    halving = SuccessiveHalving(LOSS, first=1)
    rule = AnyOf([Interval(LOSS, low=0.0, high=0.2), halving])
    assert train(rule, LOSS, [0.1])[0] == 1  # stopped by the first rule, and in the rung of the second
    assert train(rule, LOSS, [0.3])[1].endswith("not among the best 1 of 2 trials (0.1)")


def test_every_rule_learns_which_trials_are_over(train):
    rule = AnyOf([Interval(LOSS, low=5, high=6), Gradient(LOSS, after=2)])
    train(rule, LOSS, [0.1] * 8)
    assert train(rule, LOSS, [0.9] * 8)[0] == 2
