"""The replay: what a rule sees in which order, and what is counted as saved, kept and lost."""

import math

import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.recorded import RecordedTrial, Recording
from deephpo.stopping.replay import judge, play, random_orders, replay


def trial(number, *losses, every_s=1.0, completed=True):
    steps = list(range(1, len(losses) + 1))
    seconds = [every_s * step for step in steps]
    return RecordedTrial(number, steps, losses, seconds, [{"loss": loss} for loss in losses], completed)


def recording(*trials, last_step=3):
    return Recording("demo", Subject("loss", "minimize", last_step), trials)


class Above:
    """Stops what is above a bound at a step, and writes down what happens."""

    def __init__(self, bound, step=1):
        self.bound, self.step = bound, step
        self.events = []

    def judge(self, curve):
        self.events.append((curve.trial_id, curve.steps[-1]))
        hopeless = curve.steps[-1] >= self.step and curve.losses[-1] > self.bound
        return f"above {self.bound}" if hopeless else None

    def close(self, curve, completed):
        self.events.append((curve.trial_id, "completed" if completed else "cut off"))


def test_one_after_the_other_the_rule_sees_whole_trials():
    rule = Above(0.5, step=2)
    first, second = play([trial(4, 0.9, 0.6, 0.1), trial(2, 0.9, 0.4, 0.3)], rule)
    assert rule.events == [(4, 1), (4, 2), (4, "cut off"), (2, 1), (2, 2), (2, 3), (2, "completed")]
    assert (first.reports, first.steps, first.seconds, first.reason) == (2, 2, 2.0, "above 0.5")
    assert (second.steps, second.reason, second.ended_s) == (3, None, 5.0)


def test_workers_report_at_their_times_and_a_stopped_trial_frees_its_worker():
    slow, fast, next_one = trial(0, 0.1, 0.1, every_s=3.0), trial(1, 0.9, 0.1), trial(2, 0.1, 0.1)
    rule = Above(0.5)
    endings = list(play([slow, fast, next_one], rule, workers=2))
    assert rule.events[:4] == [(1, 1), (1, "cut off"), (2, 1), (0, 1)]
    assert [(ending.trial.id, ending.ended_s) for ending in endings] == [(1, 1.0), (2, 3.0), (0, 6.0)]


def test_trials_are_drawn_when_a_worker_is_free_and_without_a_rule_none_is_stopped():
    known = []

    def draw():
        for number in range(3):
            known.append(list(heard))
            yield trial(number, 0.5, every_s=1.0 + number)

    heard = []
    for ending in play(draw(), None, workers=2):
        heard.append((ending.trial.id, ending.reason))
    assert known == [[], [], [(0, None)]]
    assert heard == [(0, None), (1, None), (2, None)]


def test_nothing_is_stopped_at_its_last_step_or_its_last_report():
    rule = Above(0.0, step=3)
    to_the_end, shorter = play([trial(0, 0.5, 0.5, 0.5, 0.5), trial(1, 0.5, 0.5, 0.5)], rule, last_step=3)
    assert (to_the_end.reports, to_the_end.reason) == (3, None)
    assert shorter.reason is None


def test_a_trial_that_failed_is_not_closed_as_completed():
    rule = Above(1.0)
    list(play([trial(0, 0.5, completed=False)], rule))
    assert rule.events[-1] == (0, "cut off")


def test_savings_are_shares_of_steps_and_of_time():
    trials = recording(trial(0, 0.9, 0.8, 0.1), trial(1, 0.2, 0.2, 0.2, every_s=5.0))
    played = replay(trials, Above(0.5), [0, 1])
    assert (played.stopped, played.steps_saved) == (1, pytest.approx(2 / 6))
    assert played.time_saved == pytest.approx(2 / 18)
    assert (played.kept, played.found, played.regret) == (False, 0.2, pytest.approx(0.1))


def test_any_of_several_best_trials_is_enough():
    trials = recording(trial(0, 0.9, 0.1, 0.1), trial(1, 0.2, 0.1, 0.3), trial(2, math.nan, math.inf, 0.4))
    played = replay(trials, Above(0.5), [0, 1, 2])
    assert (played.stopped, played.kept, played.regret) == (2, True, 0.0)


def test_what_a_stopped_trial_had_reached_was_found_but_what_failed_was_not():
    trials = recording(trial(0, 0.1, 0.9, 0.9), trial(1, 0.3, 0.3, 0.3), trial(2, 0.0, completed=False))
    played = replay(trials, Above(0.5, step=2), [2, 0, 1])
    assert (trials.best, played.kept, played.found, played.regret) == (0.1, False, 0.1, 0.0)


def test_orders_are_the_seeds_and_every_order_has_a_rule_of_its_own():
    assert list(random_orders(5, 3, seed=1)) == list(random_orders(5, 9, seed=1))[:3]
    assert list(random_orders(5, 3, seed=1)) != list(random_orders(5, 3, seed=2))
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in random_orders(5, 20, seed=0))


def test_a_judgement_says_how_orders_spread():
    class Later:
        """Stops every trial but the first at its first step."""

        def __init__(self):
            self.seen = set()

        def judge(self, curve):
            self.seen.add(curve.trial_id)
            return "not the first" if len(self.seen) > 1 else None

        def close(self, curve, completed):
            pass

    trials = recording(trial(0, 0.3, 0.3, 0.1), trial(1, 0.4, 0.4, 0.2))
    judged = judge(trials, "later", Later, orders=40, seed=3)
    first = [order[0] for order in random_orders(2, 40, seed=3)]
    assert 5 < first.count(0) < 35
    assert (judged.recorded.kept, judged.recorded.stopped) == (True, 1)
    orders = judged.orders
    assert (orders.orders, orders.stopped.mean, orders.stopped.deviation) == (40, 1.0, 0.0)
    assert orders.steps_saved.mean == pytest.approx(1 / 3)
    assert orders.kept == first.count(0) / 40
    assert orders.worst_regret == pytest.approx(0.1)
    assert orders.regret == pytest.approx(0.1 * first.count(1) / 40)
    assert judge(trials, "later", Later, orders=0).orders is None


def test_where_nothing_was_spent_nothing_can_be_saved():
    at_once = RecordedTrial(0, [0], [0.5], [0.0], [{"loss": 0.5}])
    judgement = judge(recording(at_once), "above", lambda: Above(0.9), orders=2, seed=0)
    assert (judgement.recorded.steps_saved, judgement.recorded.time_saved) == (0.0, 0.0)
