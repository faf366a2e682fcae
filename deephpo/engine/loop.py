"""The search loop: events from a driver into the coordinator, its actions out into the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import (
    Action,
    Ask,
    Disband,
    Event,
    Foretell,
    ShutDown,
    Start,
    Stop,
    StopRequested,
    Tell,
    Thought,
    Write,
)
from deephpo.engine.patience import PATIENCE_S, longer
from deephpo.engine.suggester import Suggester
from deephpo.storage.records import Record


class Driver(Protocol):
    """The outside world: where workers are, and what time it is."""

    def now(self) -> float:
        """Return the seconds since this driver began."""

    def poll(self, patience_s: float) -> list[Event]:
        """Return what happened; waits at most so long while nothing does."""

    def start(self, start: Start) -> None:
        """Send a trial to its workers; never waits."""

    def stop(self, stop: Stop) -> None:
        """Tell a running trial that it is to end; never waits."""

    def disband(self, disband: Disband) -> None:
        """Tell a worker that the trial is over of which it is doing a part; never waits."""

    def shut_down(self, worker: int) -> None:
        """Send a worker home; never waits."""

    def close(self) -> None:
        """Send all workers home that still are here, and give everything back."""


class Recorder(Protocol):
    """Where records go: the journal first, then everything that shows them."""

    def write(self, records: Sequence[Record]) -> None:
        """Take records, in their order; they are safe when this returns."""

    def refresh(self, now_s: float) -> None:
        """Take note of the time; called between events."""


class SearchLoop:
    """Runs one search to its end.

    began_s: how long the search had been going on when this process took it over.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        suggester: Suggester,
        driver: Driver,
        recorder: Recorder,
        began_s: float = 0.0,
    ) -> None:
        self._coordinator = coordinator
        self._suggester = suggester
        self._driver = driver
        self._recorder = recorder
        self._began_s = began_s
        self._stop: list[StopRequested] = []
        self._patience_s = PATIENCE_S[0]

    def request_stop(self, reason: str) -> None:
        """Ask for the end of the search; may be called from a signal handler."""
        self._stop.append(StopRequested(reason))

    def run(self) -> int:
        """Return the exit code of the search; raises what the recorder raises when it cannot record."""
        try:
            while (exit_code := self._coordinator.exit_code) is None:
                self._turn()
        finally:
            self._suggester.close()
        return exit_code

    def _turn(self) -> None:
        """Drain all that happened, and act on it."""
        events: list[Event] = [*self._suggester.collect()]
        events += self._driver.poll(0.0 if events else self._patience_s)
        self._adapt_patience(bool(events))
        events += self._stop
        self._perform(self._coordinator.handle(events, self._now()))
        self._recorder.refresh(self._now())

    def _now(self) -> float:
        """Return the seconds since the search began, whichever process began it."""
        return self._began_s + self._driver.now()

    def _adapt_patience(self, happened: bool) -> None:
        """Wait shortly after an event and while the search thinks, longer and longer otherwise."""
        quiet = not happened and not self._coordinator.thinking
        self._patience_s = longer(self._patience_s) if quiet else PATIENCE_S[0]

    def _perform(self, actions: list[Action]) -> None:
        """Write the records of all actions as one block, then act: first on what a worker waits for."""
        records = [action.record for action in actions if isinstance(action, Write)]
        if records:
            self._recorder.write(records)
        thoughts: list[Thought] = []
        for action in actions:
            match action:
                case Start():
                    self._driver.start(action)
                case Ask() | Foretell() | Tell():
                    thoughts.append(action)
                case Stop():
                    self._driver.stop(action)
                case Disband():
                    self._driver.disband(action)
                case ShutDown():
                    self._driver.shut_down(action.worker)
                case Write():
                    pass
        for thought in thoughts:
            self._suggester.submit(thought)
