"""What the signals of terminals and schedulers mean to a search."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopButton:
    """Hands the wish to end on to whoever can fulfil it at the moment."""

    def __init__(self) -> None:
        self._stop: Callable[[str], None] | None = None
        self.pressed = False
        """Whether anybody asked for the end."""

    def connect(self, stop: Callable[[str], None]) -> None:
        """From now on ``stop(reason)`` ends the search."""
        self._stop = stop

    def press(self, reason: str) -> bool:
        """Ask for the end; returns whether there was anything to end."""
        self.pressed = True
        if self._stop is not None:
            self._stop(reason)
        return self._stop is not None


@contextmanager
def listening(button: StopButton) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGUSR1 press the button in this block; a second SIGINT interrupts."""
    interrupted = False

    def wish(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        again = number == signal.SIGINT and interrupted
        interrupted = interrupted or number == signal.SIGINT
        if again or not button.press(f"stopped by {signal.Signals(number).name}"):
            raise KeyboardInterrupt

    previous: dict[int, Any] = {}
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        previous[wanted] = signal.signal(wanted, wish)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
