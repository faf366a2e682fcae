import math
import sys
from multiprocessing import Pipe

import numpy as np
import pytest

from deephpo import Fidelity, Float, Problem, TrialState, TrialStopped, UserError
from deephpo.trial import Report
from deephpo.worker.evaluation import checked_ranks, evaluate, ranks_of
from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Halt, PartEnded
from deephpo.worker.place import ALONE, Place


class Unprintable:
    """Raises whatever one asks it."""

    def __float__(self):
        raise KeyError("no float")

    def __repr__(self):
        raise KeyError("no text")


@pytest.fixture
def outcome_of(tmp_path):
    """Return a function that evaluates one trial of a function."""

    def outcome_of(run, sent=None, place=ALONE, **options):
        problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss", **options)
        send = [].append if sent is None else sent.append
        outcome = evaluate(problem, Assignment(3, {"x": 0.25}, 7, str(tmp_path), place=place), send)
        assert outcome.trial_id == 3
        return outcome

    return outcome_of


@pytest.mark.parametrize(
    "returned",
    [2, 2.0, True + 1, np.float32(2.0), np.array(2.0), np.int64(2), {"loss": 2}, {"loss": np.float64(2)}],
)
def test_a_number_or_a_dict_with_the_objective_completes_a_trial(outcome_of, returned):
    outcome = outcome_of(lambda config: returned)
    assert (outcome.state, outcome.value, outcome.metrics) == (TrialState.COMPLETED, 2.0, {"loss": 2.0})
    assert (outcome.reason, outcome.detail) == ("", "")
    assert type(outcome.value) is float


def test_further_numbers_are_kept_as_metrics(outcome_of):
    outcome = outcome_of(lambda config: {"loss": 0.5, "acc": np.float32(0.75), "size": 3, "gap": math.nan})
    assert outcome.value == 0.5
    assert outcome.metrics == pytest.approx(
        {"loss": 0.5, "acc": 0.75, "size": 3.0, "gap": math.nan}, nan_ok=True
    )


def test_metrics_that_are_no_numbers_are_left_out_with_a_note(outcome_of):
    outcome = outcome_of(lambda config: {"loss": 0.5, "model": "cnn", "history": [1, 2], "acc": 0.75})
    assert outcome.state is TrialState.COMPLETED
    assert outcome.metrics == {"loss": 0.5, "acc": 0.75}
    assert outcome.reason == "left out, being no numbers: model, history"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"loss": v, "acc": 0.5}], ids=["number", "dict"])
def test_an_objective_that_is_not_finite_fails_the_trial_but_keeps_its_metrics(outcome_of, value, wrap):
    outcome = outcome_of(lambda config: wrap(value))
    assert (outcome.state, outcome.value) == (TrialState.FAILED, None)
    assert outcome.reason == f"loss is {float(value)}"
    assert set(outcome.metrics) >= {"loss"}


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "run() returned None; it must return a number, or a dict that holds 'loss'"),
        ("0.5", "run() returned '0.5'; it must return a number, or a dict that holds 'loss'"),
        ([0.5], "run() returned [0.5]; it must return a number, or a dict that holds 'loss'"),
        (1j, "run() returned 1j; it must return a number, or a dict that holds 'loss'"),
        ({}, "run() returned a dict with nothing, but without the objective 'loss'"),
        (
            {"acc": 1, "Loss": 2},
            "run() returned a dict with 'acc', 'Loss', but without the objective 'loss'",
        ),
        (
            {"loss": "low"},
            "run() returned the objective 'loss' as 'low'; "
            "it must return a number, or a dict that holds 'loss'",
        ),
    ],
)
def test_a_wrong_return_value_is_named(outcome_of, returned, reason):
    outcome = outcome_of(lambda config: returned)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, reason)


def test_a_long_return_value_is_named_in_short(outcome_of):
    reason = outcome_of(lambda config: "x" * 10_000).reason
    assert len(reason) < 400
    assert "..." in reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no\n such\tthing"), "ValueError: no such thing"),
        (MemoryError(), "MemoryError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit("stop"), "GeneratorExit: stop"),
        (SystemExit(4), "run() called sys.exit(4)"),
        (SystemExit(), "run() called sys.exit(None)"),
    ],
)
def test_whatever_run_raises_fails_its_trial_with_the_traceback(outcome_of, error, reason):
    def run(config):
        raise error

    outcome = outcome_of(run)
    assert (outcome.state, outcome.value, outcome.reason) == (TrialState.FAILED, None, reason)
    assert outcome.detail.startswith("Traceback (most recent call last)")
    assert "in run" in outcome.detail


def test_sys_exit_does_not_end_the_process(outcome_of):
    assert outcome_of(lambda config: sys.exit("bye")).reason == "run() called sys.exit('bye')"


def test_endless_recursion_fails_its_trial(outcome_of):
    def run(config):
        return run(config)

    assert outcome_of(run).reason.startswith("RecursionError: maximum recursion depth exceeded")


def test_a_return_value_with_a_will_of_its_own_fails_its_trial(outcome_of):
    assert outcome_of(lambda config: Unprintable()).state is TrialState.FAILED
    assert outcome_of(lambda config: 10**400).state is TrialState.FAILED


def test_what_no_file_can_hold_is_taken_out_of_the_reason_and_the_detail(outcome_of):
    def run(config):
        raise FileNotFoundError("/data/\udcff\0.npy")

    outcome = outcome_of(run)
    assert outcome.reason == r"FileNotFoundError: /data/\udcff\x00.npy"
    for text in (outcome.reason, outcome.detail):
        assert "\0" not in text
        assert text.encode("utf-8")


def test_a_huge_message_is_kept_within_bounds(outcome_of):
    def run(config):
        raise ValueError("y" * 10_000_000)

    outcome = outcome_of(run)
    assert len(outcome.reason) <= 200
    assert len(outcome.detail) < 100_000


def test_run_gets_its_configuration_its_context_and_the_budget(outcome_of):
    sent = []

    def run(config, ctx):
        assert config == {"x": 0.25}
        assert (ctx.trial_id, ctx.seed, ctx.budget) == (3, 7, 50)
        config["x"] = "mine to change"
        ctx.report(1, loss=0.5)
        return 0.25

    assert outcome_of(run, sent, fidelity=Fidelity("epoch", 50)).value == 0.25
    assert sent == [Report(3, 1, {"loss": 0.5})]


def test_a_wrong_report_fails_the_trial(outcome_of):
    def run(config, ctx):
        ctx.report(1, loss="low")

    assert outcome_of(run).reason == "TypeError: the metric 'loss' must be a number, not 'low' (str)."


# Of a trial that several processes train together.

SECOND = Place(1, (1, 2), ("here", "here"))
FIRST = Place(0, (1, 2), ("here", "here"))


@pytest.mark.parametrize("returned", [None, 0.5, math.nan, "low", {}, {"acc": 1}, Unprintable()])
def test_what_any_but_the_first_process_returns_is_not_judged(outcome_of, returned):
    assert outcome_of(lambda config: returned, place=SECOND) == PartEnded(3)


@pytest.mark.parametrize(("returned", "state"), [(0.5, TrialState.COMPLETED), (None, TrialState.FAILED)])
def test_what_the_first_one_returns_is(outcome_of, returned, state):
    assert outcome_of(lambda config: returned, place=FIRST).state is state


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("no"), "ValueError: no"), (SystemExit(4), "run() called sys.exit(4)")]
)
def test_what_any_of_them_raises_fails_the_trial(outcome_of, error, reason):
    def run(config):
        raise error

    assert outcome_of(run, place=SECOND).reason == reason


def test_what_a_second_process_reports_is_checked_and_not_sent(outcome_of):
    sent = []
    assert outcome_of(lambda config, ctx: ctx.report(1, loss=1.0), sent, SECOND) == PartEnded(3)
    assert sent == []
    assert outcome_of(lambda config, ctx: ctx.report(1, loss="low"), sent, SECOND).state is TrialState.FAILED


# What a stopping rule ends.


@pytest.fixture
def told(tmp_path):
    """Return a function that evaluates a trial which is told to stop when it has reported so often."""

    def told(run, after=2, place=ALONE):
        problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
        theirs, ours = Pipe()
        assignment = Assignment(3, {"x": 0.25}, 7, str(tmp_path), place=place)
        sent = []

        def send(message):
            sent.append(message)
            if len(sent) == after:
                theirs.send(Halt(3))

        with theirs, ours:
            outcome = evaluate(problem, assignment, send, Inbox(assignment, ours))
        return outcome, [message.step for message in sent]

    return told


def train(ctx, most=10):
    """Report so often, and return what a training returns."""
    for step in range(1, most + 1):
        ctx.report(step, loss=1 / step)
    return {"loss": 0.5, "steps": step}


def test_a_trial_that_is_told_to_stop_ends_with_its_next_report(told):
    outcome, steps = told(lambda config, ctx: train(ctx))
    assert (outcome.state, outcome.value, outcome.reason) == (TrialState.STOPPED, None, "")
    assert (outcome.detail, steps) == ("", [1, 2])


def test_what_catches_every_exception_does_not_swallow_the_stop_and_what_is_to_be_cleaned_up_is(told):
    cleaned = []

    def run(config, ctx):
        for step in range(10):
            try:
                ctx.report(step, loss=1.0)
            except Exception:  # noqa: BLE001  (as trainings do around a single bad batch)
                continue
            finally:
                cleaned.append(step)

    outcome, steps = told(run)
    assert outcome.state is TrialState.STOPPED
    assert cleaned == steps == [0, 1]


@pytest.mark.parametrize("place", [ALONE, FIRST])
def test_a_trial_that_returns_after_it_heard_was_stopped_and_its_metrics_are_kept(told, place):
    def run(config, ctx):
        for step in range(1, 10):
            if ctx.should_stop():
                break
            ctx._send(Report(3, step, {"loss": 1.0}))
        return {"loss": 0.5, "steps": step}

    outcome, steps = told(run, place=place)
    assert (outcome.state, outcome.value, steps) == (TrialState.STOPPED, None, [1, 2])
    assert outcome.metrics == {"loss": 0.5, "steps": 3.0}
    assert outcome.reason == ""


def test_a_trial_that_takes_no_notice_of_the_stop_and_returns_was_stopped(told):
    def run(config, ctx):
        try:
            train(ctx)
        except TrialStopped:
            return 0.5

    assert told(run)[0].state is TrialState.STOPPED


def test_a_trial_that_was_done_before_it_looked_is_complete(told):
    def run(config, ctx):
        train(ctx, 1)
        ctx._send(Report(3, 2, {"loss": 1.0}))
        return 0.5

    outcome, steps = told(run)
    assert (outcome.state, outcome.value, steps) == (TrialState.COMPLETED, 0.5, [1, 2])


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("no checkpoint"), "ValueError: no checkpoint"), (UserError("Ah."), "Ah.")],
)
def test_what_fails_after_it_heard_was_stopped_and_says_what_failed(told, error, reason):
    def run(config, ctx):
        try:
            train(ctx)
        finally:
            raise error

    outcome, _ = told(run)
    assert (outcome.state, outcome.reason) == (TrialState.STOPPED, reason)


@pytest.mark.parametrize("returned", [None, math.nan, 0.5])
def test_what_a_stopped_trial_returns_need_not_be_a_value(told, returned):
    def run(config, ctx):
        while not ctx.stopped:
            ctx._send(Report(3, 1, {"loss": 1.0}))
        return returned

    outcome, _ = told(run)
    assert (outcome.state, outcome.value) == (TrialState.STOPPED, None)


def test_a_trial_may_stop_of_its_own_accord(outcome_of):
    def run(config):
        raise TrialStopped

    assert outcome_of(run).state is TrialState.STOPPED
    assert outcome_of(run, place=FIRST).state is TrialState.STOPPED
    assert outcome_of(run, place=SECOND) == PartEnded(3)


# How many processes a problem wants.


@pytest.mark.parametrize("number", [1, 7, np.int64(2), np.uint8(3), 10**6])
def test_a_whole_number_from_one_on_is_how_many_ranks_there_can_be(number):
    assert checked_ranks(number) == int(number)
    assert type(checked_ranks(number)) is int


@pytest.mark.parametrize(
    "number", [0, -1, 2.0, 2.5, True, False, "2", None, [2], np.float64(2), np.bool_(True), math.nan]
)
def test_anything_else_is_not(number):
    with pytest.raises(ValueError, match=r"^ranks\(config\) must return a whole number from 1 on, not "):
        checked_ranks(number)


@pytest.mark.parametrize(("ranks", "said"), [(3, 1.0), (lambda config: round(8 * config["x"]), 2.0)])
def test_a_problem_is_asked_only_if_it_depends_on_the_configuration(ranks, said):
    problem = Problem([Float("x", 0.0, 1.0)], lambda config: 0.0, ranks=ranks)
    assert ranks_of(problem, Assignment(5, {"x": 0.25}, 0, "")).value == said


def test_what_is_wrong_with_its_answer_is_said_with_the_traceback():
    def ranks(config):
        raise KeyError("layers")

    outcome = ranks_of(Problem([Float("x", 0.0, 1.0)], len, ranks=ranks), Assignment(5, {"x": 0.25}, 0, ""))
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, "KeyError: 'layers'")
    assert "in ranks" in outcome.detail


def test_a_configuration_that_ranks_changes_is_not_the_one_that_run_gets(outcome_of):
    def ranks(config):
        return int(config.pop("x") * 4)

    assert outcome_of(lambda config: config["x"], ranks=ranks).value == 0.25


def test_a_trial_whose_ranks_are_wrong_fails_before_it_runs(outcome_of):
    ran = []
    outcome = outcome_of(ran.append, ranks=lambda config: 2.5)
    assert outcome.reason == "ValueError: ranks(config) must return a whole number from 1 on, not 2.5"
    assert ran == []


def test_a_sentence_for_the_user_is_told_whole_and_without_a_traceback(outcome_of):
    sentence = f"The data are not here: {'put the file there, ' * 20}or download it first."

    def run(config):
        raise UserError(sentence)

    outcome = outcome_of(run)
    assert (outcome.state, outcome.reason, outcome.detail) == (TrialState.FAILED, sentence, "")


@pytest.mark.parametrize("meets", [False, True])
def test_ranks_that_never_meet_are_remarked_upon(outcome_of, meets):
    def run(config, ctx):
        if meets:
            ctx._rendezvous.agree(lambda: "here")
        return 0.5

    outcome = outcome_of(run, place=Place(0, (1, 2), ("node1", "node1")))
    assert outcome.value == 0.5
    assert outcome.reason.startswith("its ranks never met") is not meets
