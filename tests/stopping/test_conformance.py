"""What every stopping rule promises; one that stands in the table of rules is tested here."""

import copy
import math
import pickle
import random
import time
import weakref

import pytest

from deephpo.errors import OptionError
from deephpo.stopping.create import RULES, _parts, create_rule
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.extrapolation import Extrapolation

LAST = 30
SUBJECT = Subject("accuracy", "maximize", LAST)
TEXTS = {
    "asha": ["asha", "asha:eta=3,first=2", "asha:also=latency", "asha:also=latency max:throughput"],
    "hyperband": ["hyperband", "hyperband:eta=2,first=1"],
    "threshold": ["threshold:at=5,value=0.3"],
    "interval": ["interval:high=0.05"],
    "plateau": ["plateau:patience=5"],
}
"""With which options a rule is tested; with its defaults alone, if nothing stands here."""
RULE_TEXTS = [text for name in RULES for text in TEXTS.get(name, [name])]
FLIPPED = {
    "threshold:at=5,value=0.3": "threshold:at=5,value=-0.3",
    "interval:high=0.05": "interval:low=-0.05,high=0",
}
"""What says the same of the negated values, where that is another text."""
NEED_NO_OTHERS = {"compound", "diverged", "threshold", "interval", "plateau"}
"""Rules that may judge a trial by itself."""


def value(trial_id, step, best):
    """Return what a trial reports: concave and noisy, but for the best one."""
    if trial_id == best:
        return 1.05 * (1 - math.exp(-step / 4))
    noise = random.Random(trial_id * 1000 + step)
    level = random.Random(trial_id).uniform(0.05, 0.9)
    return level * (1 - math.exp(-step / 5)) + noise.uniform(-0.02, 0.02)


def metrics(trial_id, accuracy):
    noise = random.Random(f"metrics of {trial_id}")
    return {
        "accuracy": accuracy,
        "latency": noise.uniform(1, 9),
        "throughput": noise.uniform(1, 9),
        "loss": 1 - accuracy,
    }


def conduct(rule, subject=SUBJECT, trials=60, workers=4, seed=0, best=None, broken=0.0):
    """Train trials on workers that report in a random order; returns where each one was stopped, and why.

    best: the trial that is better than the others at every step; it comes with the 20th, if not said.
    broken: the share of the reports of other trials that are no numbers.
    """
    order, verdicts, waiting, running = random.Random(seed), {}, list(range(trials)), []
    best = 20 if best is None else best
    sign = 1 if subject.direction == "maximize" else -1
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(Curve(waiting.pop(0)))
        curve = order.choice(running)
        step, trial_id = (curve.steps[-1] if curve.steps else 0) + 1, curve.trial_id
        reported = sign * value(trial_id, step, best)
        if trial_id != best and order.random() < broken:
            reported = order.choice([math.nan, -sign * math.inf])
        curve.add(step, subject.loss(reported), metrics(trial_id, reported))
        reason = rule.judge(curve)
        if reason is not None and step < LAST:
            verdicts[trial_id] = (step, reason)
        if reason is not None or step == LAST:
            running.remove(curve)
            rule.close(curve, step == LAST)
    return verdicts


@pytest.mark.parametrize("text", RULE_TEXTS)
class TestRule:
    def test_it_says_the_same_in_the_same_order_of_calls(self, text):
        verdicts = conduct(create_rule(text, SUBJECT))
        random.seed(len(text))
        time.sleep(0.01)
        assert conduct(create_rule(text, SUBJECT)) == verdicts

    def test_a_rule_forgets_nothing_and_shares_nothing_with_another(self, text):
        rule, whole = create_rule(text, SUBJECT), create_rule(text, SUBJECT)
        first = conduct(rule, trials=20)
        fresh = copy.deepcopy(rule)
        conduct(create_rule(text, SUBJECT), seed=1)
        assert conduct(whole, trials=20) == first
        assert conduct(fresh, seed=2) == conduct(whole, seed=2)

    def test_it_changes_no_curve(self, text):
        rule, curve = create_rule(text, SUBJECT), Curve(99)
        conduct(rule)
        for step in range(1, LAST + 1):
            curve.add(step, -0.1, metrics(99, 0.1))
            before = copy.deepcopy(vars(curve))
            rule.judge(curve)
            assert vars(curve) == before

    @pytest.mark.parametrize("seed", range(5))
    def test_the_best_at_every_step_is_never_stopped(self, text, seed):
        assert 20 not in conduct(create_rule(text, SUBJECT), seed=seed, trials=40)

    @pytest.mark.parametrize("seed", range(3))
    def test_nor_is_it_where_others_report_what_is_no_number(self, text, seed):
        assert 20 not in conduct(create_rule(text, SUBJECT), seed=seed, trials=40, broken=0.2)

    def test_somebody_is_stopped_before_the_end(self, text):
        verdicts = conduct(create_rule(text, SUBJECT), broken=0.01)
        assert verdicts
        assert all(0 < step < LAST for step, _ in verdicts.values())

    def test_the_first_trial_has_nobody_to_be_compared_with(self, text):
        if text.partition(":")[0] in NEED_NO_OTHERS:
            return
        for trial_id in range(10):
            rule, curve = create_rule(text, SUBJECT), Curve(trial_id)
            for step in range(1, LAST + 1):
                accuracy = value(trial_id, step, None)
                curve.add(step, -accuracy, metrics(trial_id, accuracy))
                assert rule.judge(curve) is None

    def test_a_small_value_to_minimize_is_its_negative_to_maximize(self, text):
        if "also" in text:
            return
        losses = Subject("accuracy", "minimize", LAST)
        verdicts = conduct(create_rule(FLIPPED.get(text, text), losses))
        expected = conduct(create_rule(text, SUBJECT))
        assert {trial_id: step for trial_id, (step, _) in verdicts.items()} == {
            trial_id: step for trial_id, (step, _) in expected.items()
        }

    def test_a_reason_is_a_short_sentence(self, text):
        for _, reason in conduct(create_rule(text, SUBJECT), broken=0.02).values():
            assert len(reason) < 160
            assert "-0." not in reason.replace("made -0.", "")  # the user knows accuracies, no losses

    def test_sparse_reports_are_judged(self, text):
        rule = create_rule(text, SUBJECT)
        for trial_id in range(30):
            curve = Curve(trial_id)
            for step in range(0, LAST + 1, 7):
                accuracy = value(trial_id, step, None)
                curve.add(step, -accuracy, metrics(trial_id, accuracy))
                if rule.judge(curve) is not None:
                    break
            rule.close(curve, curve.steps[-1] == 28)

    def test_a_curve_that_is_over_is_not_kept(self, text):
        rule = create_rule(text, SUBJECT)
        conduct(rule)
        curve = Curve(99)
        for step in range(1, LAST + 1):
            curve.add(step, -value(99, step, None), metrics(99, value(99, step, None)))
            rule.judge(curve)
        rule.close(curve, completed=True)
        kept = weakref.ref(curve)
        del curve
        assert kept() is None

    def test_what_is_kept_of_a_trial_that_is_over_is_little(self, text):
        rule = create_rule(text, SUBJECT)
        conduct(rule, trials=200)
        before = len(pickle.dumps(rule))
        conduct(rule, trials=200)
        assert (len(pickle.dumps(rule)) - before) / 200 < 200

    def test_ten_thousand_running_trials_cost_a_fifth_of_a_millisecond_a_report(self, text):
        rule, values = create_rule(text, Subject("accuracy", "maximize", 9)), random.Random(1)
        curves = [Curve(trial_id) for trial_id in range(10_000)]
        reports = [metrics(trial_id, values.random()) for trial_id in range(10_000)]
        spent = 0.0
        for step in range(1, 9):
            for curve, report in zip(curves, reports, strict=True):
                curve.add(step, -report["accuracy"], report)
            start = time.process_time()
            for curve in curves:
                rule.judge(curve)
            spent += time.process_time() - start
        assert spent / 80_000 < 2e-4


@pytest.mark.parametrize("text", [*RULE_TEXTS, "pace:also=latency"])
@pytest.mark.parametrize("last", [1, 2, 8, 50])
def test_no_value_and_no_step_is_too_wild(text, last):
    """Trials report in batches, beyond the last step, and what no float holds twice."""
    rng = random.Random(f"{text} {last}")
    rule, curves = made(text, Subject("accuracy", "maximize", last, "epoch")), {}
    prophet = Extrapolation(Subject("accuracy", "maximize", last, "epoch"))
    for trial_id in (rng.randrange(60) for _ in range(2_000)):
        curve = curves.setdefault(trial_id, Curve(trial_id))
        step = (curve.steps[-1] if curve.steps else -1) + rng.choice([1, 1, 2, 5, last, 10**15])
        if step >= 2**62:
            continue
        loss = rng.choice([math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, rng.random()])
        curve.add(step, loss, {"accuracy": -loss, "latency": rng.choice([math.nan, 1e308, 1.0])})
        rule.judge(curve)
        if step < last:
            prophet.final(curve)
        if rng.random() < 0.05:
            for learner in (rule, prophet):
                learner.close(curves.pop(trial_id, curve), completed=True)


@pytest.mark.parametrize("text", [*RULE_TEXTS, "pace:also=latency", "median:at=1", "gradient:after=2"])
@pytest.mark.parametrize("last", [1, 2, 3, 4, 5, 8])
def test_nobody_stops_before_the_first_step_and_a_rule_that_can_stop_nobody_is_refused(text, last):
    subject, rng, stops = Subject("accuracy", "maximize", last, "epoch"), random.Random(f"{text} {last}"), []
    rule = made(text, subject)
    for trial_id in range(500):
        curve, slope = Curve(trial_id), rng.choice([-1, 0, 0, 1])
        for step in range(last + 1):
            accuracy = slope * step + rng.random() if trial_id % 9 else math.nan
            curve.add(step, -accuracy, metrics(trial_id, accuracy))
            if rule.judge(curve) is not None:
                stops.append(step)
        rule.close(curve, completed=True)
    assert min(stops, default=math.inf) >= rule.first_step
    if rule.first_step < last:
        create_rule(text, subject)
    else:
        with pytest.raises(OptionError, match="can stop no trial"):
            create_rule(text, subject)


def made(text, subject):
    """Return a rule that may be one that can stop no trial."""
    [(name, said)] = _parts(text)
    return RULES[name].create(subject, said)
