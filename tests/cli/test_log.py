"""What people look for afterwards: the log of a run."""

import logging
from dataclasses import replace

import pytest

from deephpo.cli.log import LogWatcher, log_to
from deephpo.storage.records import Ended
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, TrialState


@pytest.fixture
def logged(caplog, monkeypatch):
    """Return a function that returns the lines which these records give: level and text."""
    caplog.set_level(logging.INFO, "deephpo")
    monkeypatch.setattr(logging.getLogger("deephpo"), "propagate", True)

    def run(records):
        watcher, state = LogWatcher(), RunState()
        for record in records:
            state.apply(record)
            watcher.note(record, state)
        return [(line.levelname, line.getMessage()) for line in caplog.records]

    return run


def test_the_log_has_a_line_for_each_trial_and_the_traceback_of_a_failure(run_records, logged):
    told = logged(
        [
            *run_records(0.5, "ValueError: no"),
            Ended(3.0, 1, Outcome(0, TrialState.PREEMPTED, reason="the time is up")),
            Ended(3.0, 1, Outcome(0, TrialState.FAILED, reason="loss is nan")),
        ]
    )
    assert ("INFO", "worker 1 on node1 is ready") in told
    assert ("INFO", "trial 0 on worker 1 (node1) = 0.5  lr=0.0001 optimizer=adam") in told
    assert ("WARNING", "trial 1 failed on worker 2 (node2): ValueError: no\nTraceback ...") in told
    assert ("WARNING", "trial 0 failed on worker 1 (node1): loss is nan") in told
    assert any("preempted: the time is up" in message for _, message in told)


def test_what_is_remarked_of_a_trial_is_in_its_line(run_records, logged):
    told = logged(
        [
            *run_records(None, None, finished=False),
            Ended(1.0, 1, Outcome(0, TrialState.COMPLETED, 0.5, reason="left out, being no numbers: model")),
            Ended(1.0, 2, Outcome(1, TrialState.STOPPED, 0.7, reason="none of its reports held 'size'")),
        ]
    )
    said = "= 0.5 (left out, being no numbers: model)  lr=0.0001 optimizer=adam"
    assert ("INFO", f"trial 0 on worker 1 (node1) {said}") in told
    assert any("= 0.7 stopped: none of its reports held 'size'" in message for _, message in told)


@pytest.mark.parametrize(("rule", "times"), [("asha", 1), ("none", 0)])
def test_the_first_silent_trial_is_told_where_a_rule_was_to_judge_it(run_records, logged, rule, times):
    """The trials report loss; an objective of another name is never heard."""
    begun, *rest = run_records(0.5, 0.25, 0.75)
    about = {**begun.declaration, "objective": "val_error"}
    told = logged([replace(begun, declaration=about, options={"stop": {"value": rule}}), *rest])
    silent = [line for line in told if "never reported 'val_error'" in line[1]]
    assert [(level, message.partition(" never")[0]) for level, message in silent] == times * [
        ("WARNING", "trial 0")
    ]


def test_the_log_goes_to_its_file_while_the_search_runs(tmp_path):
    logger = logging.getLogger("deephpo")
    with log_to(tmp_path / "log.txt"):
        logger.info("during")
    logger.info("after")
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    assert line.endswith("INFO    during")
