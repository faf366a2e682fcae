"""How long a trial may run and how much memory it may take, its whole process tree counted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from deephpo.errors import OptionError

GRACE_S = 5.0
"""Between SIGTERM, which a trial can use to save its state, and SIGKILL."""
LOOK_S = 0.25
"""How often a trial's memory is looked at."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one trial may take; None: as much as it likes."""

    timeout_s: float | None = None
    memory_bytes: int | None = None

    def broken_by(self, pid: int, ran_s: float, look_at_memory: bool) -> str | None:
        """Return which limit the process tree below ``pid`` has broken; None if none."""
        if self.timeout_s is not None and ran_s > self.timeout_s:
            return f"it ran longer than the trial timeout of {self.timeout_s:g} s"
        if self.memory_bytes is not None and look_at_memory:
            used = tree_memory_bytes(pid)
            if used > self.memory_bytes:
                limit, taken = self.memory_bytes / 2**20, used / 2**20
                return f"it took {taken:.0f} MiB of memory, more than the trial memory of {limit:.0f} MiB"
        return None


def tree_memory_bytes(pid: int) -> int:
    """Return the resident memory of a process and all its descendants, in bytes; 0 if it is gone."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path("/proc") / str(waiting.pop())
        try:
            total += int((process / "statm").read_text().split()[1]) * _PAGE_BYTES
            for task in (process / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked
    return total


def parse_memory(text: str) -> int:
    """Return the bytes of "4G", "512M" or "2.5G"; raises OptionError for anything else."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in _UNITS else (text, "")
    try:
        size = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        size = 0.0
    if not 1 <= size < float("inf"):
        raise OptionError(f"A memory size is written 512M, 4G or 1.5T, not {text!r}.")
    return int(size)
