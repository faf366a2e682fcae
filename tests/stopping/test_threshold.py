import math

import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.threshold import Threshold

ACCURACY, LOSS = Subject("accuracy", "maximize"), Subject("loss")


@pytest.mark.parametrize(
    ("subject", "values", "verdict"),
    [
        (ACCURACY, [0.1, 0.2, 0.49], (3, "its best, 0.49, is worse than 0.5")),
        (ACCURACY, [0.1, 0.2, 0.5], None),
        (ACCURACY, [0.1, 0.6, 0.4], None),
        (LOSS, [0.9, 0.8, 0.51], (3, "its best, 0.51, is worse than 0.5")),
        (LOSS, [0.9, 0.4, 0.6], None),
        (LOSS, [math.nan] * 3, (3, "its best, no number, is worse than 0.5")),
    ],
)
def test_at_its_step_the_best_so_far_must_have_reached_the_value(train, subject, values, verdict):
    assert train(Threshold(subject, at=3, value=0.5), subject, values) == verdict


def test_a_trial_is_judged_once_at_the_first_report_at_the_step_or_beyond(train):
    rule = Threshold(LOSS, at=3, value=0.5)
    assert train(rule, LOSS, [0.9, 0.6], steps=[2, 4])[0] == 4
    assert train(rule, LOSS, [0.9, 0.4, 0.6], steps=[2, 4, 6]) is None
