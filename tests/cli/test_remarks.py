"""What is said of the steps that trials report, on the screen and in the log."""

import io
import logging
from dataclasses import asdict, replace

import pytest

from deephpo.cli.log import LogWatcher
from deephpo.cli.progress import Progress
from deephpo.problem import Fidelity
from deephpo.storage.records import Ended, Reported, Started
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, TrialState

EIGHT_EPOCHS = Fidelity("epoch", 8)
FALL = "epoch 2 after epoch 5: a stopping rule sees only what comes with a higher epoch"
PASSAGE = (
    "epoch 9, but a training is complete with epoch 8: no stopping rule acts from there on; "
    "Fidelity('epoch', 8) in the problem should name its last epoch"
)


@pytest.fixture
def remarks(run_records, caplog, monkeypatch):
    """Return a function that plays what happened to three trials, and returns what screen and log were told.

    A tuple is a report: trial, step, and the metrics' names if not the objective alone.
    """
    caplog.set_level(logging.WARNING, "deephpo")
    monkeypatch.setattr(logging.getLogger("deephpo"), "propagate", True)

    def play(*happened, rule="median", fidelity=EIGHT_EPOCHS):
        begun, *rest = run_records(None, None, None, workers=3, finished=False)
        about = {**begun.declaration, "fidelity": fidelity and asdict(fidelity)}
        records = [replace(begun, declaration=about, options={"stop": {"value": rule}}), *rest]
        stream, state = io.StringIO(), RunState()
        watchers = [Progress(stream, 4, None), LogWatcher()]
        for record in [*records, *map(reported, happened)]:
            state.apply(record)
            for watcher in watchers:
                watcher.note(record, state)
        told = [line.partition("  ")[2] for line in stream.getvalue().splitlines()]
        assert told == [line.getMessage() for line in caplog.records]
        return told

    return play


def reported(happened):
    if not isinstance(happened, tuple):
        return happened
    trial_id, step, *names = happened
    return Reported(1.0, Report(trial_id, step, dict.fromkeys(names or ["loss"], 0.5)))


def test_the_first_trial_whose_steps_fall_is_told_and_no_other_one(remarks):
    assert remarks((1, 1), (1, 5), (1, 2), (1, 1), (2, 5), (2, 2)) == [f"trial 1 reported {FALL}"]


def test_the_first_trial_beyond_the_last_step_is_told_and_no_other_one(remarks):
    assert remarks((1, 8), (1, 9), (1, 10), (2, 9)) == [f"trial 1 reported {PASSAGE}"]


def test_both_are_told_each_of_its_own_trial(remarks):
    told = remarks((0, 9), (1, 5), (1, 2), (2, 9), (2, 5))
    assert told == [f"trial 0 reported {PASSAGE}", f"trial 1 reported {FALL}"]


def test_the_same_step_counts_once(remarks):
    assert remarks((1, 0, "loss", "acc"), (1, 0)) == [
        "trial 1 reported epoch 0 after epoch 0: a stopping rule sees only what comes with a higher epoch"
    ]


def test_a_fall_is_seen_behind_reports_that_no_rule_sees(remarks):
    assert remarks((1, 5), (1, 1, "acc"), (1, 2)) == [f"trial 1 reported {FALL}"]


@pytest.mark.parametrize(
    "happened",
    [
        [(0, 0), (0, 1), (0, 8), (1, 0), (1, 3)],
        [(0, 2, "acc"), (0, 2), (0, 3, "acc"), (0, 3)],
        [(0, 5), (0, 2, "acc"), (0, 9, "acc")],
        [(0, 1), (0, 101, "acc"), (0, 102, "acc"), (0, 2)],
    ],
    ids=["rising", "in two reports", "nothing to judge", "batches between epochs"],
)
def test_nothing_is_said_of_steps_that_rise_or_of_what_no_rule_sees(happened, remarks):
    assert remarks(*happened) == []


def test_a_trial_that_was_started_again_may_begin_where_it_had_begun(remarks):
    cut_off = Ended(1.0, 1, Outcome(0, TrialState.PREEMPTED, reason="lost"))
    assert remarks((0, 4), (0, 5), cut_off, Started(1.0, 0, 2), (0, 1), (0, 2)) == []


def test_without_a_rule_nothing_is_said(remarks):
    assert remarks((1, 5), (1, 2), (1, 9), rule="none") == []


def test_without_a_fidelity_there_is_no_last_step(remarks):
    told = "trial 1 reported step 2 after step 900: a stopping rule sees only what comes with a higher step"
    assert remarks((1, 900), (1, 2), fidelity=None) == [told]
