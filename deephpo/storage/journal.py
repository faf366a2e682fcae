"""The journal: append-only, one writer, one record a line, written before what it describes happens.

A line is strict JSON whose last entry is the CRC-32 of the text before it, begun with that of the line above.
So a damaged, lost, doubled or exchanged line is found and named rather than believed::

    {"kind":"Asked","time_s":1.5,"q":4,"crc":3421780262}
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deephpo.errors import RunDirectoryError
from deephpo.storage.records import Begun, Finished, Record, Resumed, from_dict, to_dict

SYNC_INTERVAL_S = 1.0
"""What is written reaches the disk itself at the latest so much later, while records come."""
PULSE_S = 10.0
"""A journal's modification time is renewed so often, so that others see that its writer is alive."""

_SYNC_AT_ONCE = (Begun, Resumed, Finished)
_CRC = b',"crc":'
# Made once: json.dumps and json.loads would make new ones, or look at the text twice, for every line.
_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_DECODE = json.JSONDecoder().raw_decode


class JournalFullError(Exception):
    """The journal cannot be written any more: the disk is full, over quota or read-only."""


class Journal:
    """Appends records to a file; ``path`` None writes them nowhere, at the same cost but for the disk's.

    A new journal must not exist yet, or be empty; with ``resume`` it must exist, and :meth:`repair` comes
    before append.
    """

    def __init__(self, path: Path | None, resume: bool = False) -> None:
        self._sync = path is not None
        self._descriptor, self.created = _open(path, resume)
        """Whether the file was made here; otherwise another search may be about to write to it."""
        self._end = os.lseek(self._descriptor, 0, os.SEEK_END)
        self._checksum = 0
        self._synced_s = self._pulsed_s = time.monotonic()
        self._dirty = False

    @property
    def descriptor(self) -> int:
        """The open file's number, for who claims it."""
        return self._descriptor

    def repair(self) -> None:
        """Cut away a last line that was cut off; only for whom the journal belongs to."""
        self._end = _end_of_line_before(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_END))
        os.ftruncate(self._descriptor, self._end)
        if self._end:
            start = _end_of_line_before(self._descriptor, self._end - 1)
            _, self._checksum = _parts(os.pread(self._descriptor, self._end - start, start))
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def append(self, records: Sequence[Record]) -> None:
        """Write the records as one block, and hand it to the operating system.

        Raises JournalFullError when that is not possible; what was in the journal before stays whole.
        """
        if not records:
            return
        lines, checksum = [], self._checksum
        for record in records:
            line, checksum = _line(record, checksum)
            lines.append(line)
        block = b"".join(lines)
        try:
            _write(self._descriptor, block)
            self._dirty = True
            if any(isinstance(record, _SYNC_AT_ONCE) for record in records):
                self._synced_s = -SYNC_INTERVAL_S
            self._pulse()
        except OSError as error:
            self._take_back()
            raise _cannot_be_written(error) from error
        self._end += len(block)
        self._checksum = checksum

    def pulse(self) -> None:
        """Bring what is written to the disk, and show that the writer is alive, both when it is time to.

        Raises JournalFullError when that is not possible.
        """
        try:
            self._pulse()
        except OSError as error:
            raise _cannot_be_written(error) from error

    def _take_back(self) -> None:
        """Cut away what was written of a block; if that is not possible, the next repair does it."""
        if self._sync:
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._end)

    def _pulse(self) -> None:
        now = time.monotonic()
        if self._sync and self._dirty and now - self._synced_s >= SYNC_INTERVAL_S:
            os.fsync(self._descriptor)
            self._synced_s, self._dirty = now, False
        if self._sync and now - self._pulsed_s >= PULSE_S:
            os.utime(self._descriptor)
            self._pulsed_s = now

    def close(self) -> None:
        """Put everything on the disk, and close the file; raises JournalFullError if that fails."""
        try:
            if self._sync:
                os.fsync(self._descriptor)
        except OSError as error:
            raise _cannot_be_written(error) from error
        finally:
            os.close(self._descriptor)


def _open(path: Path | None, resume: bool) -> tuple[int, bool]:
    """Return the open file's number, and whether the file is new."""
    if path is None:
        return os.open(os.devnull, os.O_WRONLY), False
    try:
        if not resume:
            with contextlib.suppress(FileExistsError):
                return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written ({error.strerror}).") from None
    # A journal is begun once; a second writer must fail here rather than mix its lines in.
    if not resume and os.fstat(descriptor).st_size:
        os.close(descriptor)
        raise RunDirectoryError(f"{path} already holds a run; choose another --run-dir.")
    return descriptor, False


def _cannot_be_written(error: OSError) -> JournalFullError:
    return JournalFullError(f"the journal cannot be written: {error.strerror}")


def _end_of_line_before(descriptor: int, position: int) -> int:
    """Return where the last whole line before a position ends."""
    while position:
        start = max(0, position - 2**16)
        found = os.pread(descriptor, position - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _write(descriptor: int, block: bytes) -> None:
    while block:
        block = block[os.write(descriptor, block) :]


def _line(record: Record, before: int) -> tuple[bytes, int]:
    """Return a record's line and its checksum; ``before`` is that of the line above it."""
    body = _ENCODE(to_dict(record))[:-1].encode()
    checksum = zlib.crc32(body, before)
    return b"%s%s%d}\n" % (body, _CRC, checksum), checksum


def _parts(line: bytes) -> tuple[bytes, int]:
    """Return the text of a line before its checksum, and the checksum; raises ValueError without one."""
    body, separator, rest = line.rpartition(_CRC)
    if not separator or not rest.endswith(b"}\n"):
        raise ValueError("its checksum is missing")
    return body, int(rest[:-2])


def _record(line: bytes, before: int) -> tuple[Record, int]:
    """Return the record of a line and its checksum; raises ValueError, KeyError or the like for a bad one."""
    body, checksum = _parts(line)
    if checksum != zlib.crc32(body, before):
        raise ValueError("its checksum does not fit")
    text = body.decode() + "}"
    content, end = _DECODE(text)
    if end != len(text):
        raise ValueError("it goes on after its end")
    return from_dict(content), checksum


@dataclass(slots=True)
class Place:
    """Where a reader stands in a journal: behind which line."""

    line: bytes = b""
    number: int = 0
    end: int = 0
    """So many bytes of the file were read."""
    checksum: int = 0
    """The line's own; that of the next one goes on from it."""


def read_journal(path: Path, place: Place | None = None) -> Iterator[Record]:
    """Yield the records of a journal, also of one that is being written.

    place: read only what stands behind it; it is moved with each record.

    A last line without its end is a write that was cut off, and left out.  Raises RunDirectoryError,
    naming the line, for anything else that is not a record, and if what stood before the place is gone.
    """
    place = place or Place()
    # As bytes: a line that is no text is to be found where the others are, and named.
    with open(path, "rb") as file:
        file.seek(place.end - len(place.line))
        if file.read(len(place.line)) != place.line:  # it vouches for all lines above it
            raise RunDirectoryError(f"{path} lost its last lines while it was read; try once more.")
        yield from read_records(file, path, place)


def read_records(lines: Iterable[bytes], name: Path | str, place: Place) -> Iterator[Record]:
    """Yield the records of the lines behind a place; ``name`` stands in the error for a damaged one."""
    for line in lines:
        if not line.endswith(b"\n"):
            return
        try:
            record, checksum = _record(line, place.checksum)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunDirectoryError(f"{name}: line {place.number + 1} is damaged ({error}).") from error
        place.line, place.checksum = line, checksum
        place.number += 1
        place.end += len(line)
        yield record
