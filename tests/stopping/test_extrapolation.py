import math
import time

import numpy as np
import pytest

from deephpo.errors import OptionError
from deephpo.stopping.create import create_rule
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.extrapolation import Extrapolation

ERROR = Subject("error", "minimize", 100)
ACCURACY = Subject("accuracy", "maximize", 100)


def power_law(limit, rate=0.7, steps=100):
    return [limit + (0.9 - limit) * step**-rate for step in range(1, steps + 1)]


class TestWhoIsStopped:
    def test_nobody_before_a_trial_has_trained_to_its_end(self, train):
        rule = Extrapolation(ERROR)
        assert train(rule, ERROR, power_law(0.6)) is None
        assert train(rule, ERROR, power_law(0.8)) is not None

    def test_who_will_end_far_from_the_best(self, train):
        rule = Extrapolation(ACCURACY)
        train(rule, ACCURACY, [1 - loss for loss in power_law(0.1)])
        step, reason = train(rule, ACCURACY, [1 - loss for loss in power_law(0.6)])
        assert step <= 25
        assert reason.startswith("it is expected to end with 0.38")
        assert reason.endswith("its chance to beat the best, 0.8682, is 0.0 %")

    def test_a_slow_one_that_will_cross_goes_on(self, train):
        rule = Extrapolation(ERROR)
        for limit in (0.3, 0.32, 0.35):
            train(rule, ERROR, power_law(limit, rate=1.5))
        crossing = power_law(0.0, rate=0.4)
        assert crossing[-1] < 0.3 < crossing[12], "it is behind at the first checkpoint, the best at the end"
        assert train(rule, ERROR, crossing) is None

    def test_who_is_no_better_than_a_high_chance_asks_stops_sooner(self, train):
        ends = []
        for chance in (0.001, 0.05, 0.4):
            rule = Extrapolation(ERROR, chance=chance)
            train(rule, ERROR, power_law(0.3))
            end = train(rule, ERROR, power_law(0.36))
            ends.append(100 if end is None else end[0])
        assert ends == sorted(ends, reverse=True)
        assert ends[-1] < ends[0]

    def test_curves_that_fall_late_teach_it_to_be_unsure(self, train):
        def late(limit):
            return [0.9 - 0.001 * step for step in range(1, 61)] + np.linspace(0.84, limit, 40).tolist()

        rule = Extrapolation(ERROR)
        ends = [train(rule, ERROR, late(limit)) for limit in (0.5, 0.5, 0.5, 0.5, 0.2)]
        assert ends[-1] is None

    def test_the_best_of_many_noisy_trainings_is_kept(self, train):
        rng = np.random.default_rng(0)
        kept, epochs = [], []
        for _ in range(10):
            rule, ends = Extrapolation(ERROR), []
            for limit in rng.uniform(0.1, 0.6, 30):
                noisy = power_law(limit, np.exp(rng.normal(-0.4, 0.3))) + rng.normal(0, 0.003, 100)
                end = train(rule, ERROR, noisy.tolist())
                ends.append((min(noisy), end is None))
                epochs.append(100 if end is None else end[0])
            kept.append(min(ends)[1])
        assert sum(kept) >= 9
        assert np.mean(epochs) < 60

    def test_no_numbers_are_not_judged(self, train):
        rule = Extrapolation(ERROR)
        train(rule, ERROR, power_law(0.1))
        assert train(rule, ERROR, [math.nan] * 100) is None
        assert train(rule, ERROR, power_law(0.6)) is not None

    def test_a_gap_in_a_complete_curve_spoils_nothing(self, train):
        rule, gaps = Extrapolation(ERROR), power_law(0.3)
        for step in (13, 18, 25, 36, 50, 71):  # the checkpoints
            gaps[step - 1] = math.nan
        assert train(rule, ERROR, gaps) is None
        assert train(rule, ERROR, power_law(0.2)) is None
        assert train(rule, ERROR, power_law(0.7)) is not None

    @pytest.mark.parametrize("ended", [12, 13])  # before the first checkpoint, and with it
    def test_who_ends_by_itself_early_teaches_nothing_of_the_steps_that_it_did_not_train(self, ended, train):
        def falls_late(limit, before=0.9):
            noise = [0.01 * math.sin(1.7 * step) for step in range(1, 101)]
            return [(before if step < 60 else limit) + noise[step - 1] for step in range(1, 101)]

        rule = Extrapolation(ERROR)
        for trial in range(4):
            train(rule, ERROR, falls_late(0.4 + 0.01 * trial))
        for trial in range(12):
            train(rule, ERROR, [0.9 + 0.01 * math.sin(1.7 * step + trial) for step in range(1, ended + 1)])
        assert train(rule, ERROR, falls_late(0.3, before=0.88)) is None

    def test_who_ends_by_itself_early_may_be_the_best(self, train):
        rule = Extrapolation(ERROR)
        train(rule, ERROR, power_law(0.1)[:12])
        assert train(rule, ERROR, power_law(0.6))[1].endswith("the best, 0.2405, is 0.0 %")


class TestWhatAStoppedTrialStandsFor:
    def test_what_others_fell_until_they_ended_by_themselves_early_counts_for_nothing(self):
        def close(rule, losses):
            curve = Curve(0)
            for step, loss in enumerate(losses, 1):
                curve.add(step, loss, {})
            rule.close(curve, completed=True)
            return curve

        rule, taught, whole = Extrapolation(ERROR), Extrapolation(ERROR), power_law(0.3)
        for learner in (rule, taught):
            close(learner, whole)
        for _ in range(3):
            early = close(taught, whole[:12])
        assert taught.final(early) == rule.final(early) < early.best

    def test_the_value_that_it_would_have_ended_with(self):
        rule, whole, curve = Extrapolation(ERROR), power_law(0.3), Curve(0)
        for step, loss in enumerate(whole[:25], 1):
            curve.add(step, loss, {})
        assert whole[24] - whole[-1] > 0.035
        assert rule.final(curve) == pytest.approx(whole[-1], abs=0.02)

    def test_never_worse_than_the_best_it_reached(self):
        rule, curve = Extrapolation(ERROR), Curve(0)
        for step, loss in enumerate(np.linspace(0.3, 0.9, 30), 1):
            curve.add(step, float(loss), {})
        assert rule.final(curve) == 0.3


def test_a_report_is_judged_within_the_masters_time(train):
    rule, rng = Extrapolation(ERROR), np.random.default_rng(0)
    train(rule, ERROR, power_law(0.01))
    curves = [Curve(trial_id) for trial_id in range(200)]
    start = time.perf_counter()
    for step in range(1, 101):
        for curve in curves:
            curve.add(step, 0.3 + 1 / step + float(rng.normal(0, 0.01)), {})
            rule.judge(curve)
    assert (time.perf_counter() - start) / (100 * len(curves)) < 0.2e-3


def test_it_is_created_by_name_and_must_know_the_last_step():
    assert isinstance(create_rule("curve:chance=0.1", ERROR), Extrapolation)
    with pytest.raises(OptionError, match="'curve' must know the step"):
        create_rule("curve", Subject("error"))
