"""How a running search looks: a live line on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import TextIO

from deephpo.cli.remarks import StepRemarks
from deephpo.drivers.launch import launch_of
from deephpo.report.summary import clock, configuration_line, figure, rate_per_minute, silence_line
from deephpo.report.terminal import beginning, columns_of
from deephpo.storage.records import Ended, Finished, Record, Reported, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import Config, Outcome, TrialState

LIVE_INTERVAL_S = 0.2
PLAIN_INTERVAL_S = 15.0

_ERASE = "\r\x1b[K"
_ELLIPSIS = "…"


class Progress:
    """A watcher that tells a person how the search goes.

    On a terminal one line is redrawn in place, and each new best scrolls by above it.  Elsewhere, in a batch
    log as a rule, a line is printed for each new best and every 15 seconds.

    trials, time_limit_s: when the search ends.  log: where tracebacks and all endings are, if anywhere.
    virtual: whether the search's time is not that of the clock on the wall.
    """

    def __init__(
        self,
        stream: TextIO,
        trials: int | None,
        time_limit_s: float | None,
        log: Path | None = None,
        virtual: bool = False,
    ) -> None:
        self._stream = stream
        self._log = log
        self._virtual = virtual
        self._live = is_terminal(stream)
        self._trials = trials
        self._time_limit_s = time_limit_s
        self._drawn = time.monotonic()
        self._told_best: float | None = None
        self._remarked: set[str] = set()
        self._steps = StepRemarks()

    def note(self, record: Record, state: RunState) -> None:
        """Say so when there is a new best, a lost worker, the end, or something odd for the first time."""
        if isinstance(record, Reported):
            if odd := self._steps.of(record, state):
                self._say(f"{clock(record.time_s)}  {odd}")
        elif isinstance(record, WorkerLost):
            self._say(f"{clock(record.time_s)}  worker {record.worker} is lost: {_first_line(record.reason)}")
        elif isinstance(record, Finished):
            self._note_finish(record, state)
        elif isinstance(record, Ended):
            self._note_end(record, state)

    def refresh(self, state: RunState) -> None:
        """Redraw the line if it is time to."""
        interval = LIVE_INTERVAL_S if self._live else PLAIN_INTERVAL_S
        if time.monotonic() - self._drawn < interval or state.finished is not None:
            return
        self._drawn = time.monotonic()
        line = status_line(state, self._trials, self._time_limit_s, self._width, self._virtual)
        if self._live:
            self._write(f"{_ERASE}{line}")
        else:
            self._say(line)

    @property
    def _width(self) -> int | None:
        """How many columns a line of the terminal has; None where lines have no end."""
        return shutil.get_terminal_size().columns - 1 if self._live else None

    def _note_finish(self, record: Finished, state: RunState) -> None:
        self._clear()
        cut_off = state.counts[TrialState.PREEMPTED]
        if cut_off and not self._virtual:
            trials = f"{cut_off} preempted trials go" if cut_off > 1 else "1 preempted trial goes"
            self._say(f"{clock(record.time_s)}  {trials} out again if the search is resumed")

    def _note_end(self, record: Ended, state: RunState) -> None:
        outcome, best = record.outcome, state.best
        how = outcome.state
        if how in (TrialState.FAILED, TrialState.STOPPED) and state.counts[how] == 1:
            reason = _first_line(outcome.reason) or "of its own accord"
            was = "was " if how is TrialState.STOPPED else ""
            self._say(
                f"{clock(record.time_s)}  trial {outcome.trial_id} {was}{how}: {reason}{self._rest(outcome)}"
            )
        remark = outcome.reason if how is TrialState.COMPLETED else ""
        if silent := silence_line(state.trials[outcome.trial_id], state):
            self._say(f"{clock(record.time_s)}  {silent}")
        if remark and remark not in self._remarked:
            self._remarked.add(remark)
            self._say(f"{clock(record.time_s)}  trial {outcome.trial_id}: {_first_line(remark)}")
        if best is not None and best.id == outcome.trial_id and best.value != self._told_best:
            self._told_best = best.value
            told = f"{clock(record.time_s)}  best {figure(best.value)}  trial {best.id}  "
            room = None if self._width is None else self._width - columns_of(told)
            self._say(told + configuration_within(best.config, room))

    def _rest(self, outcome: Outcome) -> str:
        """Return where the rest of an outcome is, and further trials that end so; empty without a log."""
        if self._log is None:
            return ""
        return f" ({'more, and others,' if outcome.detail else 'others'} in {self._log})"

    def _say(self, line: str) -> None:
        self._clear()
        self._write(f"{line}\n")

    def _clear(self) -> None:
        if self._live:
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        # Who reads it may go away, as in `| head`, or fill the disk; that must not end the search.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person sees the stream, rather than a file or a batch log.

    Open MPI gives rank 0 a terminal of its own even when mpirun writes to a file; then what counts is where
    the launcher, our parent, writes to.
    """
    if not stream.isatty() or launch_of().size == 1:
        return stream.isatty()
    try:
        target = os.readlink(f"/proc/{os.getppid()}/fd/1")
    except OSError:
        return False
    return target.startswith(("/dev/pts/", "/dev/tty"))


def status_line(
    state: RunState,
    trials: int | None,
    time_limit_s: float | None,
    width: int | None = None,
    virtual: bool = False,
) -> str:
    """Return how the search stands on one line: what matters first, and whole fields only."""
    parts = [
        f"{'virtual ' if virtual else ''}{clock(state.now_s)}",
        f"{state.done}{f'/{trials}' if trials else ''} done",
    ]
    if state.best is not None:
        parts.append(f"best {figure(state.best.value)} (trial {state.best.id})")
    for how in (TrialState.STOPPED, TrialState.FAILED, TrialState.PREEMPTED):
        if state.counts[how]:
            parts.append(f"{state.counts[how]} {how}")
    left = time_left_s(state, trials, time_limit_s)
    if left is not None and not virtual:
        parts.append(f"{clock(left)} left")
    parts.append(f"{len(state.running)} running")
    parts.append(f"busy {100 * state.utilisation():.0f} %")
    parts.append(f"{rate_per_minute(state):.1f}/min")
    while width is not None and len(parts) > 2 and len("  ".join(parts)) > width:
        parts.pop()
    return "  ".join(parts)


def configuration_within(config: Config, room: int | None) -> str:
    """Return a configuration on one line, in so many columns: whole parameters, then an ellipsis.

    If the first one alone is too long its beginning is shown, and nothing where there is no room at all.
    """
    line = configuration_line(config)
    if room is None or columns_of(line) <= room:
        return line
    if room <= 0:
        return ""
    shown, left = "", room - columns_of(_ELLIPSIS)
    for name, value in config.items():
        word = f"{configuration_line({name: value})} "
        if columns_of(word) > left:
            break
        shown, left = shown + word, left - columns_of(word)
    return (shown or beginning(line, left)) + _ELLIPSIS


def time_left_s(state: RunState, trials: int | None, time_limit_s: float | None) -> float | None:
    """Return how long the search still takes: until its time limit, or by its pace so far."""
    spans = [] if time_limit_s is None else [time_limit_s - state.now_s]
    if trials is not None and state.done:
        spans.append((trials - state.done) * state.now_s / state.done)
    return max(0.0, min(spans)) if spans else None


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
