"""What a child prints: drained so that it never blocks, kept in a file, its end at hand for reports."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MOST_BYTES = 16 * 2**20
"""A worker's output file ends here; a trial that floods its output must not fill the disk."""

_TAIL_LINES = 40
_TAIL_BYTES = 2**15
_CHUNK = 2**16
_MOST_CHUNKS = 64


class OutputLog:
    """Reads one pipe into one file, which is made with the first byte."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = path.stat().st_size if path is not None and path.exists() else 0
        self._tail = bytearray()
        self.open = True
        """Whether somebody holds the other end of the pipe."""

    def reopen(self) -> None:
        """Start on another pipe; the file goes on."""
        self.open = True

    def drain(self, descriptor: int) -> None:
        """Take what is in the pipe, which must not block; 4 MiB at most, for some never dry up."""
        for _ in range(_MOST_CHUNKS):
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self.open = False
                return
            self._tail += chunk
            del self._tail[:-_TAIL_BYTES]
            self._keep(chunk)

    def tail(self) -> str:
        """Return the last lines of what was printed."""
        lines = self._tail.decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def forget(self) -> None:
        """Start a new tail; the file goes on."""
        self._tail.clear()

    def _keep(self, chunk: bytes) -> None:
        if self._path is None or self._written >= MOST_BYTES:
            return
        # A full disk must cost the trial its printed lines, not its life.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "ab") as file:
                self._written += file.write(chunk[: MOST_BYTES - self._written])
