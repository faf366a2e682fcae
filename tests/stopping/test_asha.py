import time

import numpy as np
import pytest

from deephpo.errors import OptionError
from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.curve import Curve, Subject

ERROR = Subject("error", "minimize", 8)
ACCURACY = Subject("accuracy", "maximize", 8)


def flat(value, steps=8):
    return [value] * steps


class TestOneObjective:
    def test_the_first_that_come_to_a_rung_go_on_until_there_are_eta(self, train):
        rule = SuccessiveHalving(Subject("error", last_step=27), eta=3, first=9)
        assert train(rule, ERROR, flat(0.5, 27)) is None
        assert train(rule, ERROR, flat(0.9, 27)) is None
        assert train(rule, ERROR, flat(0.7, 27)) == (
            9,
            "its best, 0.7, is not among the best 1 of 3 trials (0.5)",
        )

    @pytest.mark.parametrize(
        ("values", "last", "stops"),
        [
            ([0.1, 0.2], 0.3, True),  # 2 of 3 go on, and two are better
            ([0.1, 0.3], 0.2, False),  # one is better
            ([0.1, 0.2, 0.3], 0.4, True),  # 2 of 4, and three are better
            ([0.1, 0.2, 0.3], 0.25, True),  # 2 of 4, and two are better
            ([0.1, 0.3, 0.4], 0.25, False),
            ([0.2, 0.2, 0.2], 0.2, False),  # as good is not better
        ],
    )
    def test_who_has_fewer_than_n_over_eta_above_it_goes_on(self, train, values, last, stops):
        rule = SuccessiveHalving(ERROR, eta=2, first=4)
        for value in values:
            train(rule, ERROR, [value] * 4)
        assert (train(rule, ERROR, [last] * 4) is not None) == stops

    def test_what_counts_is_the_best_so_far(self, train):
        rule = SuccessiveHalving(ERROR, eta=2, first=4)
        train(rule, ERROR, flat(0.5))
        assert train(rule, ERROR, [0.4, *flat(0.9, 7)]) is None

    def test_rungs_are_at_the_powers_of_eta_below_the_last_step(self, train):
        rule = SuccessiveHalving(ACCURACY)  # the last step // 2 ** 3, that is 1, then 2 and 4
        rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
        assert train(rule, ACCURACY, rising) is None
        assert train(rule, ACCURACY, [0.15, 0.1, 0.1, 0.1])[0] == 2
        assert train(rule, ACCURACY, [0.15, 0.25, 0.1, 0.1])[0] == 4
        assert train(rule, ACCURACY, [0.2, 0.3, 0.4, 0.5, 0.1, 0.1, 0.1, 0.1]) is None

    def test_a_value_is_given_as_the_user_knows_it(self, train):
        rule = SuccessiveHalving(ACCURACY, first=3)
        train(rule, ACCURACY, flat(0.75))
        assert train(rule, ACCURACY, flat(0.61234567)) == (
            3,
            "its best, 0.6123, is not among the best 1 of 2 trials (0.75)",
        )

    def test_a_trial_that_skips_a_rung_comes_to_it_with_the_first_report_beyond(self, train):
        rule = SuccessiveHalving(ERROR, first=2)
        train(rule, ERROR, flat(0.1))
        assert train(rule, ERROR, [0.9, 0.9, 0.9], steps=[0, 3, 6])[0] == 3
        assert train(rule, ERROR, [0.9], steps=[5])[0] == 5

    def test_without_a_last_step_there_is_no_last_rung(self, train):
        subject = Subject("error")
        rule = SuccessiveHalving(subject, first=100)
        train(rule, subject, [0.5, 0.4, 0.3, 0.2, 0.1], steps=[100, 200, 400, 800, 1600])
        assert train(rule, subject, [0.2] * 5, steps=[100, 200, 400, 800, 1600])[0] == 1600

    def test_without_a_last_step_the_first_rung_must_be_said(self):
        with pytest.raises(OptionError) as error:
            SuccessiveHalving(Subject("error"))
        assert str(error.value) == (
            "The rule 'asha' must know the step with which a training is complete: declare it in the "
            'problem, Problem(..., fidelity=Fidelity("epoch", 50)) for 50 epochs, or say first, the step '
            "at which trials are compared first."
        )

    def test_an_eta_near_one_has_no_rung_twice(self, train):
        rule = SuccessiveHalving(Subject("error", last_step=6), eta=1.1, first=1)
        for value in (0.1, 0.2, 0.3):
            assert train(rule, ERROR, flat(value, 6)) is None  # ceil(3 / 1.1) = 3 go on
        for value in np.linspace(0.4, 1, 7):
            train(rule, ERROR, flat(value, 6))
        assert train(rule, ERROR, flat(2.0, 6))[0] == 1  # ten of ceil(11 / 1.1) are better

    def test_no_number_is_worse_than_any(self, train):
        rule = SuccessiveHalving(ERROR, first=2)
        train(rule, ERROR, flat(0.9))
        assert train(rule, ERROR, flat(float("nan"))) == (
            2,
            "its best, no number, is not among the best 1 of 2 trials (0.9)",
        )


class TestSeveralObjectives:
    def rule(self, also="latency", first=2):
        return SuccessiveHalving(ACCURACY, first=first, also=also)

    def test_who_is_worse_in_one_and_better_in_another_goes_on(self, train):
        rule = self.rule()
        assert train(rule, ACCURACY, flat(0.9), others={"latency": 9.0}) is None
        assert train(rule, ACCURACY, flat(0.5), others={"latency": 1.0}) is None
        assert train(rule, ACCURACY, flat(0.7), others={"latency": 5.0}) is None

    def test_who_is_dominated_by_too_many_stops(self, train):
        rule = self.rule()
        train(rule, ACCURACY, flat(0.9), others={"latency": 1.0})
        assert train(rule, ACCURACY, flat(0.8), others={"latency": 1.0}) == (
            2,
            "1 of 2 trials or more are at least as good in accuracy and latency and better in one of them",
        )

    def test_of_two_that_are_equal_none_dominates(self, train):
        rule = self.rule()
        train(rule, ACCURACY, flat(0.9), others={"latency": 1.0})
        assert train(rule, ACCURACY, flat(0.9), others={"latency": 1.0}) is None

    def test_a_metric_may_be_to_be_large(self, train):
        rule = self.rule("max:throughput")
        train(rule, ACCURACY, flat(0.9), others={"throughput": 100.0})
        assert train(rule, ACCURACY, flat(0.8), others={"throughput": 200.0}) is None
        assert train(rule, ACCURACY, flat(0.7), others={"throughput": 50.0})[0] == 2

    def test_the_other_metrics_count_as_they_are_at_the_rung(self, train):
        rule = self.rule()
        train(rule, ACCURACY, flat(0.9), others={"latency": 5.0})
        assert train(rule, ACCURACY, flat(0.5), others={"latency": [9.0, 1.0, *flat(9.0, 6)]})[0] == 4

    @pytest.mark.parametrize("others", [{}, {"latency": float("nan")}, {"memory": 1.0}])
    def test_a_report_without_one_of_them_is_not_judged(self, train, others):
        rule = self.rule()
        train(rule, ACCURACY, flat(0.9), others={"latency": 1.0})
        assert train(rule, ACCURACY, flat(0.1), others=others) is None
        assert train(rule, ACCURACY, flat(0.1), others={"latency": 2.0})[1].startswith("1 of 2 ")

    def test_nobody_stops_whom_sorting_into_fronts_would_keep(self, train):
        rng, rule, members = np.random.default_rng(3), self.rule(), []
        stopped = 0
        for _ in range(200):
            values = rng.random(2).round(1)
            members.append(values)
            if train(rule, ACCURACY, [1 - values[0]] * 2, others={"latency": values[1]}) is None:
                continue
            stopped += 1
            assert in_better_fronts(np.array(members)) >= np.ceil(len(members) / 2)
        assert stopped > 20

    def test_with_an_objective_that_says_nothing_new_it_judges_as_with_one(self, train):
        rng, one = np.random.default_rng(4), SuccessiveHalving(ACCURACY)
        two = SuccessiveHalving(ACCURACY, also="constant")
        for _ in range(100):
            curve = np.sort(rng.random(8)).tolist()
            verdict, other = (
                train(one, ACCURACY, curve),
                train(two, ACCURACY, curve, others={"constant": 1.0}),
            )
            assert (verdict and verdict[0]) == (other and other[0])

    def test_ten_thousand_in_a_rung_cost_a_fifth_of_a_millisecond(self):
        rng, rule = np.random.default_rng(5), self.rule(also="latency", first=1)
        values = rng.random((10_400, 2)).tolist()
        for trial_id, (accuracy, latency) in enumerate(values):
            if trial_id == 10_000:
                start = time.process_time()
            curve = Curve(trial_id)
            curve.add(1, -accuracy, {"accuracy": accuracy, "latency": latency})
            rule.judge(curve)
        assert (time.process_time() - start) / 400 < 2e-4


def in_better_fronts(members):
    """Return how many rows are in better fronts than the last row, by sorting into fronts."""
    left, better = list(range(len(members))), 0
    while True:
        front = [
            one
            for one in left
            if not any((members[o] <= members[one]).all() and (members[o] < members[one]).any() for o in left)
        ]
        if len(members) - 1 in front:
            return better
        better += len(front)
        left = [one for one in left if one not in front]
