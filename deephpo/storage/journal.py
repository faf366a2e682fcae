"""The journal: append-only, one writer, one record a line, written before what it describes takes effect."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from deephpo.errors import RunDirectoryError
from deephpo.storage.records import Record, from_dict, to_dict


class Journal:
    """Appends records to a file; ``path`` None writes them nowhere, at the same cost but for the disk's."""

    def __init__(self, path: Path | None) -> None:
        # "x": a journal is begun once; a second writer must fail here rather than mix its lines in.
        mode = "w" if path is None else "x"
        try:
            self._file = open(path or os.devnull, mode, encoding="utf-8")  # noqa: SIM115
        except FileExistsError:
            raise RunDirectoryError(f"{path} already holds a run; choose another --run-dir.") from None

    def append(self, records: Iterable[Record]) -> None:
        """Write the records as one block, and hand it to the operating system."""
        lines = [json.dumps(to_dict(record), separators=(",", ":"), allow_nan=False) for record in records]
        if lines:
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Put everything on the disk, and close the file."""
        self._file.flush()
        if self._file.name != os.devnull:
            os.fsync(self._file.fileno())
        self._file.close()


def read_journal(path: Path) -> Iterator[Record]:
    """Yield the records of a journal, also of one that is being written.

    A last line without its end is a write that was cut off, and left out.  Raises RunDirectoryError,
    naming the line, for anything else that is not a record.
    """
    # As bytes: a line that is no text is to be found where the others are, and named.
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = from_dict(json.loads(line))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise RunDirectoryError(f"{path}: line {number} is damaged ({error}).") from error
            yield record
