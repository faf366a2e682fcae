import math
import sys
from multiprocessing import Pipe

import numpy as np
import pytest

from deephpo.errors import TrialStopped, UserError
from deephpo.trial import Report
from deephpo.worker.context import DEVICE_VARIABLE, Context, as_number, numbers_of
from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Halt
from deephpo.worker.place import Place


@pytest.fixture
def sent():
    return []


@pytest.fixture
def context(tmp_path, sent):
    assignment = Assignment(4, {"lr": 0.1}, 99, str(tmp_path / "trials" / "000004"))
    return Context(assignment, 50, sent.append)


class Odd:
    """Like a tensor that is no single number: what it raises is its own."""

    def __float__(self):
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


def test_a_trial_knows_its_number_seed_budget_and_place(context):
    assert (context.trial_id, context.seed, context.budget) == (4, 99, 50)
    assert (context.rank, context.size) == (0, 1)


def member(rank, directory, sent, hosts=("a", "a", "b")):
    """Return the context of one of three processes that train a trial together."""
    place = Place(rank, (3, 5, 4), hosts)
    return Context(Assignment(4, {}, 99, str(directory), place=place), 50, sent.append)


@pytest.mark.parametrize(("rank", "local_rank"), [(0, 0), (1, 1), (2, 0)])
def test_a_process_knows_its_place_among_those_of_its_trial(tmp_path, sent, rank, local_rank):
    context = member(rank, tmp_path, sent)
    assert (context.rank, context.size, context.local_rank, context.seed) == (rank, 3, local_rank, 99)


def test_of_several_processes_the_first_one_reports(tmp_path, sent):
    for rank in (2, 1, 0):
        member(rank, tmp_path, sent).report(1, loss=rank)
    assert sent == [Report(4, 1, {"loss": 0.0})]


@pytest.mark.parametrize(
    ("step", "metrics"), [(1.5, {"loss": 1}), (-1, {"loss": 1}), (1, {"loss": "low"}), (1, {})]
)
def test_what_the_others_report_is_checked_all_the_same(tmp_path, sent, step, metrics):
    with pytest.raises((TypeError, ValueError)):
        member(1, tmp_path, sent).report(step, **metrics)


@pytest.mark.parametrize("device", ["gpu:0", None])
def test_a_trial_knows_its_device_from_its_environment(tmp_path, monkeypatch, device):
    if device is None:
        monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(DEVICE_VARIABLE, device)
    assert Context(Assignment(4, {}, 0, str(tmp_path)), None, print).device == (device or "cpu")


def test_without_horovod_a_trial_learns_how_to_get_it(context, monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod.tensorflow", None)
    with pytest.raises(UserError, match=r"build_horovod\.sh"), context.horovod():
        pass


def test_a_trial_knows_how_often_it_was_started_before(tmp_path):
    assert Context(Assignment(4, {}, 0, str(tmp_path)), None, print).attempt == 0
    assert Context(Assignment(4, {}, 0, str(tmp_path), attempt=2), None, print).attempt == 2


def test_without_an_end_a_trial_has_all_the_time(context):
    assert (context.time_left(), context.should_stop()) == (math.inf, False)


def test_a_trial_is_to_stop_shortly_before_the_end(tmp_path, monkeypatch):
    now_s = 500.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    context = Context(Assignment(4, {}, 0, str(tmp_path), left_s=100.0, notice_s=5.0), None, print)
    seen = []
    for now_s in (500.0, 590.0, 594.9, 595.0, 599.0, 600.0, 700.0):  # noqa: B007  (the clock reads it)
        seen.append((context.time_left(), context.should_stop()))
    left = [100.0, 10.0, pytest.approx(5.1), 5.0, 1.0, 0.0, 0.0]
    assert seen == list(zip(left, [False] * 3 + [True] * 4, strict=True))


def test_a_trial_that_starts_after_the_end_is_to_stop_at_once(tmp_path):
    context = Context(Assignment(4, {}, 0, str(tmp_path), left_s=-3.0), None, print)
    assert (context.time_left(), context.should_stop()) == (0.0, True)


@pytest.fixture
def told(tmp_path, sent):
    """Return a function that returns the context of one of so many processes, and what says stop to it."""
    lines = []

    def told(rank=0, size=1):
        theirs, ours = Pipe()
        lines.append((theirs, ours))
        place = Place(rank, tuple(range(1, size + 1)), ("a",) * size)
        assignment = Assignment(4, {}, 99, str(tmp_path), place=place)
        return Context(assignment, 50, sent.append, Inbox(assignment, ours)), lambda: theirs.send(Halt(4))

    yield told
    for line in lines:
        for end in line:
            end.close()


def test_a_trial_that_is_to_stop_says_its_report_and_hears_of_it(told, sent):
    context, stop = told()
    context.report(1, loss=0.5)
    assert (context.stopped, context.should_stop()) == (False, False)
    stop()
    with pytest.raises(TrialStopped):
        context.report(2, loss=0.4)
    assert sent == [Report(4, 1, {"loss": 0.5}), Report(4, 2, {"loss": 0.4})]
    assert (context.stopped, context.should_stop()) == (True, True)
    with pytest.raises(TrialStopped):
        context.report(3, loss=0.3)


def test_a_trial_that_asks_is_told_without_a_report(told):
    context, stop = told()
    stop()
    assert context.should_stop()
    assert context.stopped
    assert context.time_left() == math.inf


def test_the_end_of_the_time_is_no_verdict(tmp_path):
    context = Context(Assignment(4, {}, 0, str(tmp_path), left_s=-3.0), None, print)
    context.report(1, loss=0.5)
    assert (context.should_stop(), context.stopped) == (True, False)


def test_of_several_ranks_the_first_is_told_and_none_is_torn_from_the_others(told, sent):
    context, stop = told(0, size=2)
    stop()
    context.report(1, loss=0.5)
    context.report(2, loss=0.5)
    assert (context.stopped, context.should_stop(), len(sent)) == (True, True, 2)
    other, _ = told(1, size=2)
    other.report(1, loss=0.5)
    assert (other.stopped, other.should_stop()) == (False, False)


def test_a_wrong_report_is_refused_before_the_trial_hears_that_it_is_to_stop(told):
    context, stop = told()
    stop()
    with pytest.raises(TypeError):
        context.report(1, loss="low")


def test_a_report_is_sent_as_plain_numbers(context, sent):
    context.report(np.int64(3), loss=np.float32(0.5), acc=np.array(0.25), done=True)
    assert sent == [Report(4, 3, {"loss": 0.5, "acc": 0.25, "done": 1.0})]
    assert {type(value) for value in sent[0].metrics.values()} == {float}
    assert type(sent[0].step) is int


def test_a_report_of_nan_is_sent(context, sent):
    context.report(0, loss=math.nan)
    assert math.isnan(sent[0].metrics["loss"])


@pytest.mark.parametrize(
    ("step", "metrics", "error", "words"),
    [
        (1.0, {"loss": 1}, TypeError, "step must be a whole number, not 1.0"),
        ("1", {"loss": 1}, TypeError, "step must be a whole number, not '1'"),
        (True, {"loss": 1}, TypeError, "step must be a whole number, not True"),
        (-1, {"loss": 1}, ValueError, "step counts from 0, but it is -1"),
        (2**63, {"loss": 1}, ValueError, "step must be below 2 \\*\\* 63"),
        (1, {}, ValueError, "name at least one metric"),
        (1, {"loss": "low"}, TypeError, "the metric 'loss' must be a number, not 'low' \\(str\\)"),
        (1, {"acc": 1, "loss": None}, TypeError, "the metric 'loss' must be a number, not None"),
        (1, {"loss": [1, 2]}, TypeError, "the metric 'loss'"),
    ],
)
def test_a_wrong_report_is_refused_at_once_and_not_sent(context, sent, step, metrics, error, words):
    with pytest.raises(error, match=words):
        context.report(step, **metrics)
    assert sent == []


def test_the_trials_directory_is_made_at_its_first_use(context, tmp_path):
    assert not (tmp_path / "trials").exists()
    (context.directory / "weights").write_text("w")
    assert (tmp_path / "trials" / "000004" / "weights").exists()
    assert context.directory == context.directory


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (True, 1.0),
        (np.float16(0.5), 0.5),
        (np.array([2.5])[0], 2.5),
        (math.inf, math.inf),
        ("0.5", None),
        (b"1", None),
        (None, None),
        ([1.0], None),
        ({}, None),
        (1j, None),
        (np.array([1.0, 2.0]), None),
        (10**400, None),
        (Odd(), None),
    ],
)
def test_a_number_of_any_library_becomes_a_float_and_nothing_else_does(value, number):
    assert as_number(value) == number


def test_names_of_metrics_become_text():
    assert numbers_of({1: 2}) == {"1": 2.0}
