"""One writer for one journal, without a lock file that could go stale.

On one machine the kernel's lock on the journal itself decides: it dies with its process (``flock``, which a
second look at the same file does not release, as it would a POSIX lock).  Between machines such a
lock may not hold (NFS is often mounted without), so a journal that was last written from another host is
watched for a while: a living writer renews its modification time every few seconds.  No clocks are
compared, only whether the time moves.  A journal whose last line is a search's end needs no watch: whoever
went on with it would have written that it did.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deephpo.errors import RunDirectoryError
from deephpo.storage.journal import PULSE_S, Journal, Place
from deephpo.storage.records import Begun, Finished, Record, Resumed

WATCH_S = 2.5 * PULSE_S
"""For so long a journal from another host must not move."""

_LOOK_S = 0.2
"""Who waits for the lock looks so often whether it is free."""


def possible_writer(path: Path, records: Sequence[Record], place: Place) -> str | None:
    """Return the host on which the last search may still write to a journal; None if that has ended.

    records: the whole journal, of which the first is Begun.  place: where it ended when it was read.
    """
    if isinstance(records[-1], Finished) and path.stat().st_size == place.end:  # and no line is being written
        return None
    return next(record.host for record in reversed(records) if isinstance(record, Begun | Resumed))


def claim(
    journal: Journal,
    name: str,
    this_host: str,
    last_host: str | None,
    say: Callable[[str], None],
    patience_s: float = 0.0,
) -> None:
    """Make this process the journal's writer until it ends.

    last_host: where somebody may still be writing to it; None for a new one, and after a search's end.
    say: told that there is a wait.  patience_s: how long a process that has the lock is given to end.
    Raises RunDirectoryError if another search is writing to it.
    """
    taken = f"Another search is writing to {name}; wait for its end, or end it."
    try:
        locked = _lock(journal.descriptor)
        if not locked and patience_s > 0:
            say(f"Another search is writing to {name}: waiting for its end, for {patience_s:.0f} s at most.")
            locked = _lock_within(patience_s, journal.descriptor)
        if not locked:
            raise RunDirectoryError(taken)
    except OSError:
        # A file system without locks: only the pulse can tell, also on one machine.
        last_host = last_host and f"{last_host}, as far as known"
    if last_host is None or last_host == this_host:
        return
    say(f"{name} was last written on {last_host}: watching it for {WATCH_S:.0f} s, lest that goes on.")
    before = _modified_ns(name)
    time.sleep(WATCH_S)
    if _modified_ns(name) != before:
        raise RunDirectoryError(taken)


def _lock(descriptor: int) -> bool:
    """Take the kernel's lock on a file unless another process has it; returns whether it was taken."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock_within(patience_s: float, descriptor: int) -> bool:
    until_s = time.monotonic() + patience_s
    while not (locked := _lock(descriptor)) and time.monotonic() < until_s:
        time.sleep(_LOOK_S)
    return locked


def _modified_ns(name: str) -> int:
    """Return when a file was modified; NFS asks the server when it is opened, and may not for a mere stat."""
    descriptor = os.open(name, os.O_RDONLY)
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)
