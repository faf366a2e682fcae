import math

from deephpo.stopping.curve import Subject
from deephpo.stopping.plateau import Plateau

LOSS = Subject("loss")


def test_who_has_not_got_better_for_so_many_steps_stops(train):
    falling = [0.5, 0.4, 0.3, *[0.35] * 9]
    assert train(Plateau(LOSS, patience=4), LOSS, falling) == (
        7,
        "it is no better than at step 3 (0.3)",
    )


def test_patience_counts_steps_and_not_reports(train):
    assert train(Plateau(LOSS, patience=20), LOSS, [0.5, 0.6, 0.6], steps=[10, 20, 30])[0] == 30


def test_an_improvement_starts_it_anew(train):
    assert train(Plateau(LOSS, patience=3), LOSS, [0.5, 0.6, 0.6, 0.4, 0.6, 0.6, 0.3]) is None


def test_small_improvements_do_not_count_but_their_sum_does(train):
    rule = Plateau(LOSS, patience=3, least=0.1)
    assert train(rule, LOSS, [0.5, 0.48, 0.46, 0.44, 0.42]) == (
        4,
        "it is no better by more than 0.1 than at step 1 (0.5)",
    )
    assert train(rule, LOSS, [0.5, 0.44, 0.39, 0.33, 0.28]) is None


def test_trials_have_their_own_bests(train):
    rule = Plateau(LOSS, patience=3)
    train(rule, LOSS, [0.1])
    assert train(rule, LOSS, [0.9, 0.8, 0.7, 0.6, 0.5]) is None


def test_who_never_has_a_number_stops(train):
    assert train(Plateau(LOSS, patience=3), LOSS, [math.nan] * 9) == (
        4,
        "it is no better than at step 1 (no number)",
    )
