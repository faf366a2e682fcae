import math

import pytest

from deephpo.stopping.any_of import AnyOf
from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.diverged import Diverged
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


@pytest.mark.parametrize("diverges", [False, True])
@pytest.mark.parametrize("halving_first", [False, True])
def test_what_another_rule_stopped_too_is_never_promoted(diverges, halving_first):
    """Trial 1 comes to its rung with a number before or with NaN: by its best it would go on after all."""
    halving = SuccessiveHalving(LOSS, first=2)
    rules = [halving, Diverged(LOSS)] if halving_first else [Diverged(LOSS), halving]
    rule = AnyOf(rules)
    for trial_id, losses in enumerate([(0.1, 0.1), (0.2, math.nan if diverges else 0.2)]):
        curve = Curve(trial_id)
        reasons = []
        for step, loss in enumerate(losses, start=1):
            curve.add(step, loss, {"loss": loss})
            reasons.append(rule.judge(curve))
    assert reasons[0] is None
    assert reasons[1] is not None
    for trial_id in (2, 3):  # worse ones, which make trial 1 one of the best 2 of 4
        curve = Curve(trial_id)
        curve.add(2, 0.9, {"loss": 0.9})
        rule.judge(curve)
    assert rule.promote() == (None if diverges else 1)
    assert rule.promote() is None
