"""What people look for afterwards: the log of a run."""

import logging

from deephpo.cli.log import LogWatcher, log_to
from deephpo.storage.records import Ended
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, TrialState


def test_the_log_has_a_line_for_each_trial_and_the_traceback_of_a_failure(run_records, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "deephpo")
    monkeypatch.setattr(logging.getLogger("deephpo"), "propagate", True)
    watcher, state = LogWatcher(), RunState()
    for record in [
        *run_records(0.5, "ValueError: no"),
        Ended(3.0, 1, Outcome(0, TrialState.PREEMPTED, reason="the time is up")),
        Ended(3.0, 1, Outcome(0, TrialState.FAILED, reason="loss is nan")),
    ]:
        state.apply(record)
        watcher.note(record, state)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("INFO", "worker 1 on node1 is ready") in told
    assert ("INFO", "trial 0 on worker 1 (node1) = 0.5  lr=0.0001 optimizer=adam") in told
    assert ("WARNING", "trial 1 failed on worker 2 (node2): ValueError: no\nTraceback ...") in told
    assert ("WARNING", "trial 0 failed on worker 1 (node1): loss is nan") in told
    assert any("preempted: the time is up" in message for _, message in told)


def test_the_log_goes_to_its_file_while_the_search_runs(tmp_path):
    logger = logging.getLogger("deephpo")
    with log_to(tmp_path / "log.txt"):
        logger.info("during")
    logger.info("after")
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    assert line.endswith("INFO    during")
