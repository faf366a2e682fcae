import math
import time

import numpy as np
import pytest

from deephpo.errors import OptionError
from deephpo.stopping.create import create_rule
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.pace import Outlook, Pace, extrapolate

ERROR = Subject("error", "minimize", 100)
ACCURACY = Subject("accuracy", "maximize", 100)


def curve_of(losses, steps=None):
    curve = Curve(0)
    for step, loss in zip(steps or range(1, len(losses) + 1), losses, strict=True):
        curve.add(step, loss, {})
    return curve


def power_law(limit, rate=1.0, start=0.9, steps=100):
    return [limit + (start - limit) * step**-rate for step in range(1, steps + 1)]


class TestOutlook:
    def test_a_constant_gain_with_every_doubling_goes_on(self):
        curve = curve_of([0.9, 0.7, 0.6, 0.5])  # 0.2 with each doubling
        assert extrapolate(curve, 16) == pytest.approx((0.3, 0.1))

    def test_a_gain_that_shrinks_goes_on_shrinking(self):
        curve = curve_of([0.9, 0.5, 0.4, 0.3])  # 0.4, then 0.2; 0.1 and 0.05 are to come
        assert extrapolate(curve, 16) == pytest.approx((0.1, 0.15))

    @pytest.mark.parametrize("rate", [0.3, 1.0, 2.0])
    def test_a_power_law_is_extrapolated_exactly(self, rate):
        losses = power_law(0.1, rate, steps=64)
        assert extrapolate(curve_of(losses[:16]), 64).prospect == pytest.approx(losses[-1])

    def test_a_gain_that_grew_is_not_taken_to_grow_on(self):
        assert extrapolate(curve_of([0.9, 0.8, 0.6, 0.4]), 8).prospect == pytest.approx(0.0)

    def test_who_gains_nothing_stays_where_it_is(self):
        assert extrapolate(curve_of([0.5] * 4), 100) == Outlook(0.5, 0.5)

    def test_beyond_the_last_step_nothing_is_to_come(self):
        curve = curve_of([0.5, 0.4, 0.3, 0.3], [2, 6, 8, 30])
        assert extrapolate(curve, 20) == Outlook(0.3, 0.3)

    def test_without_a_report_by_half_of_the_steps_there_is_no_pace(self):
        assert extrapolate(curve_of([0.5, 0.4], [60, 80]), 100) is None

    def test_what_is_no_number_is_passed_over(self):
        nan = math.nan
        assert extrapolate(curve_of([nan] * 4), 100) == Outlook(math.inf, math.inf)
        assert extrapolate(curve_of([nan, nan, 0.5, 0.4]), 100) == Outlook(-math.inf, -math.inf)
        assert extrapolate(curve_of([nan, 0.6, nan, 0.4]), 8) == pytest.approx((0.2, 0.2))


@pytest.fixture
def after(train):
    """A function that returns how a flat trial ends that 60 % of so many others are better than."""

    def ended(rule, trials, every=1):
        steps = range(every, 101, every)
        for k in range(trials):
            curve = Curve(1000 + k)
            for step in steps:
                curve.add(step, (k + 0.5) / trials, {})
                rule.judge(curve)
        return train(rule, ERROR, [0.6] * len(steps), steps)

    return ended


class TestWhoIsStopped:
    def test_the_first_trial_never(self, train):
        assert train(Pace(ERROR), ERROR, [0.9] * 100) is None

    def test_the_second_never_either(self, train):
        rule = Pace(ERROR)
        train(rule, ERROR, power_law(0.1))
        assert train(rule, ERROR, [0.9] * 100) is None, "one other says little"

    def test_a_flat_one_below_the_others(self, train):
        rule = Pace(ACCURACY)
        for best in (0.6, 0.65, 0.7):
            train(rule, ACCURACY, [1 - loss for loss in power_law(1 - best)])
        assert train(rule, ACCURACY, [0.3] * 100) == (
            7,
            "3 of 3 others were better than its best, 0.3, and its pace would bring it to "
            "0.3, no better than 0.694",
        )

    def test_few_are_judged_mildly_early_and_strictly_late(self, train):
        rule = Pace(ERROR)
        for _ in range(2):
            train(rule, ERROR, power_law(0.1))
        step, _ = train(rule, ERROR, power_law(0.3))
        assert step == 13  # where the worst third is behind
        rule = Pace(ERROR)
        for _ in range(20):
            train(rule, ERROR, power_law(0.1))
        step, _ = train(rule, ERROR, power_law(0.3))
        assert step == 4

    def test_caution_judges_later(self, train):
        stopped_at = []
        for caution in (0.3, 0.5, 1.0):
            rule = Pace(ERROR, caution=caution)
            for limit in (0.1, 0.11, 0.12, 0.13):
                train(rule, ERROR, power_law(limit))
            stopped_at.append(train(rule, ERROR, power_law(0.3))[0])
        assert stopped_at == sorted(stopped_at)
        assert stopped_at[0] < stopped_at[-1]

    @pytest.mark.parametrize(
        ("trials", "step"), [(50, 18), (100, 18), (150, 36), (200, 50), (400, 71), (600, 71)]
    )
    def test_it_gets_more_cautious_with_hundreds_of_trials(self, after, trials, step):
        stopped_at, reason = after(Pace(ERROR), trials)
        assert stopped_at == step
        assert reason.startswith(f"{int(0.6 * trials)} of {trials} others were better")

    @pytest.mark.parametrize("trials", [50, 600])
    def test_a_caution_that_is_said_stays(self, after, trials):
        assert after(Pace(ERROR, caution=0.5), trials)[0] == 18

    @pytest.mark.parametrize("trials", [50, 600])
    def test_it_grows_though_trials_report_rarely(self, after, trials):
        assert after(Pace(ERROR), trials, every=25)[0] == (50 if trials == 50 else 75)

    def test_a_slow_one_that_will_cross_goes_on(self, train):
        rule = Pace(ERROR)
        for limit in np.linspace(0.3, 0.4, 9):
            train(rule, ERROR, power_law(limit, rate=1.5))
        crossing = power_law(0.0, rate=0.35)
        assert crossing[49] < 0.3 < crossing[12], "it is the worst at first, the best at the end"
        assert train(rule, ERROR, crossing) is None

    def test_who_is_ahead_goes_on_though_it_gains_nothing(self, train):
        rule = Pace(ERROR)
        for _ in range(9):
            train(rule, ERROR, power_law(0.1, rate=0.5))
        assert train(rule, ERROR, [0.16] * 100) is None

    def test_the_best_of_many_noisy_trainings_is_kept_and_most_epochs_are_saved(self, train):
        rng = np.random.default_rng(0)
        kept, epochs = [], []
        for _ in range(20):
            rule, limits, ends = Pace(ERROR), rng.uniform(0.1, 0.6, 60), []
            for limit in limits:
                noisy = power_law(limit, np.exp(rng.normal(-0.5, 0.3))) + rng.normal(0, 0.003, 100)
                end = train(rule, ERROR, noisy.tolist())
                ends.append((min(noisy), end is None))
                epochs.append(100 if end is None else end[0])
            kept.append(min(ends)[1])
        assert sum(kept) >= 19
        assert np.mean(epochs) < 40

    def test_as_good_as_the_others_is_not_behind(self, train):
        rule = Pace(ERROR)
        assert [train(rule, ERROR, [0.9] * 100) for _ in range(5)] == [None] * 5

    def test_no_number_is_behind_any(self, train):
        rule = Pace(ERROR)
        for _ in range(8):
            train(rule, ERROR, power_law(0.1))
        step, reason = train(rule, ERROR, [math.nan] * 100)
        assert step == 4
        assert "than its best, no number" in reason

    def test_the_unit_is_of_no_account(self, train):
        rng = np.random.default_rng(1)
        curves = [np.minimum.accumulate(rng.random(100)).tolist() for _ in range(30)]
        plain, scaled = Pace(ERROR), Pace(ERROR)
        for losses in curves:
            ends = train(plain, ERROR, losses), train(scaled, ERROR, [1024 * loss - 8192 for loss in losses])
            assert (ends[0] or [None])[0] == (ends[1] or [None])[0]

    def test_of_two_epochs_nothing_is_stopped(self, train):
        subject = Subject("error", last_step=2)
        rule = Pace(subject)
        assert [train(rule, subject, [loss, loss]) for loss in (0.1, 0.2, 0.3)] == [None] * 3


class TestSideBySide:
    def test_who_came_first_is_judged_again_when_others_have_come(self):
        rule = Pace(ERROR)
        first = curve_of([0.9] * 24)
        for step in range(25, 27):
            first.add(step, 0.9, {})
            assert rule.judge(first) is None
        for trial_id in range(1, 4):
            other = Curve(trial_id)
            for step, loss in enumerate(power_law(0.1)[:26], 1):
                other.add(step, loss, {})
                rule.judge(other)
        first.add(27, 0.9, {})
        assert rule.judge(first).startswith("3 of 3 others were better at step 25 than its best then, 0.9")

    def test_a_report_is_judged_within_the_masters_time(self):
        rule, rng = Pace(ERROR), np.random.default_rng(0)
        curves = [Curve(trial_id) for trial_id in range(2000)]
        reports = 0
        start = time.perf_counter()
        for step in range(1, 21):
            for curve in curves:
                curve.add(step, float(rng.random()), {})
                rule.judge(curve)
                reports += 1
        assert (time.perf_counter() - start) / reports < 0.2e-3


class TestSeveralObjectives:
    def field(self, train):
        """A rule that has seen accurate trials that are slow, and poor ones that are fast."""
        rule = Pace(ERROR, also="latency")
        for k in range(6):
            train(rule, ERROR, power_law(0.1), others={"latency": 9.0 + k})
            train(rule, ERROR, power_law(0.4), others={"latency": 1.0 + k})
        return rule

    def test_who_is_worse_in_one_and_better_in_another_goes_on(self, train):
        rule = self.field(train)
        assert train(rule, ERROR, power_law(0.25), others={"latency": 4.0}) is None
        assert train(rule, ERROR, power_law(0.7), others={"latency": 0.5}) is None

    def test_who_most_dominate_stops(self, train):
        step, reason = train(self.field(train), ERROR, power_law(0.6), others={"latency": 20.0})
        assert step <= 25
        assert "than it in latency and its best, " in reason
        assert reason.endswith("which is not in the Pareto front")

    def test_whose_pace_brings_it_into_the_front_goes_on(self, train):
        rule = self.field(train)
        assert train(rule, ERROR, power_law(0.0, rate=0.7), others={"latency": 8.9}) is None

    def test_a_metric_that_is_to_be_large(self, train):
        rule = Pace(ERROR, also="max:throughput")
        for k in range(8):
            train(rule, ERROR, power_law(0.1), others={"throughput": 100.0 + k})
        assert train(rule, ERROR, power_law(0.4), others={"throughput": 200.0}) is None
        assert train(rule, ERROR, power_law(0.4), others={"throughput": 50.0}) is not None

    def test_reports_without_the_other_metric_are_not_judged(self, train):
        assert train(self.field(train), ERROR, power_law(0.9)) is None


class TestByName:
    def test_its_option(self):
        assert isinstance(create_rule("pace:caution=0.6", ERROR), Pace)
        assert isinstance(create_rule("pace:caution=0", ERROR), Pace)

    def test_it_must_know_the_last_step(self):
        with pytest.raises(OptionError, match="'pace' must know the step"):
            create_rule("pace", Subject("error"))
