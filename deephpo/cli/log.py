"""The log of a run, ``log.txt``: a line for everything that people look for afterwards, with its time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deephpo.cli.remarks import StepRemarks
from deephpo.report.summary import configuration_line, silence_line, workers_of
from deephpo.storage.records import Ended, Finished, Promoted, Record, Reported, WorkerJoined, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

_LOGGER = logging.getLogger("deephpo")


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Send deephpo's log to a file, with the time before each line."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        handler.close()


class LogWatcher:
    """A watcher that writes one line a trial to the run's log."""

    def __init__(self) -> None:
        self._steps = StepRemarks()

    def note(self, record: Record, state: RunState) -> None:
        """Log what people look for afterwards."""
        match record:
            case Reported():
                if odd := self._steps.of(record, state):
                    _LOGGER.warning("%s", odd)
            case WorkerJoined():
                _LOGGER.info("worker %d on %s is ready", record.worker, record.host)
            case WorkerLost():
                _LOGGER.warning("worker %d is lost: %s", record.worker, record.reason)
            case Ended():
                self._log_end(record, state)
            case Promoted():
                _LOGGER.info("trial %d goes on: it is among the best where it stopped", record.trial_id)
            case Finished():
                _LOGGER.info("ended: %s (exit code %d)", record.reason, record.exit_code)
            case _:
                pass

    def refresh(self, state: RunState) -> None:
        """Do nothing: time alone is not worth a line."""

    def _log_end(self, record: Ended, state: RunState) -> None:
        outcome = record.outcome
        trial = state.trials[outcome.trial_id]
        place = f"{workers_of(trial)} ({trial.host})"
        if outcome.state is TrialState.FAILED:
            detail = f"\n{outcome.detail.rstrip()}" if outcome.detail else ""
            _LOGGER.warning("trial %d failed on %s: %s%s", trial.id, place, outcome.reason, detail)
            return
        result = "" if outcome.value is None else f"= {outcome.value!r}"
        if outcome.state is not TrialState.COMPLETED:
            result = f"{result} {outcome.state}: {outcome.reason}".lstrip()
        elif outcome.reason:
            result = f"{result} ({outcome.reason})"
        _LOGGER.info("trial %d on %s %s  %s", trial.id, place, result, configuration_line(trial.config))
        if silent := silence_line(trial, state):
            _LOGGER.warning("%s", silent)
