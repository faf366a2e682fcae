"""Learning curves in a CSV file: one line for each report, the first line naming the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deephpo.errors import OptionError

_LAYOUT = "trial,step,VALUE or trial,step,VALUE,seconds"
"""The first line of a file of curves; VALUE is the name of the metric."""
_MOST = 10**15
"""So far no step and no second counts: their sums are to be exact."""


@dataclass(frozen=True)
class CurveFile:
    """What a file says."""

    metric: str
    timed: bool
    """Whether it says when reports came."""
    trials: Mapping[int, CurveLines]
    """By their numbers, in the order of their first lines."""


@dataclass
class CurveLines:
    """The lines of one trial in a file, one of each for each report."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Since the trial's start; the steps themselves where the file is not timed."""

    def add(self, where: str, trial: int, step: int, value: float, seconds: float) -> None:
        """Take a line; raises OptionError, which begins with where it stands, if it is none of a curve."""
        if step < 0 or (self.steps and step <= self.steps[-1]):
            went = f"goes from {self.steps[-1]} to" if self.steps else "begins with"
            raise OptionError(
                f"{where}: the steps of a trial count from 0 or 1, and rise, but trial {trial} {went} {step}."
            )
        last_s = self.seconds[-1] if self.seconds else 0.0
        if not last_s <= seconds < _MOST:
            raise OptionError(
                f"{where}: seconds count from the trial's start and rise, but those of trial {trial} go from "
                f"{last_s:g} to {seconds:g}."
            )
        self.steps.append(step)
        self.values.append(value)
        self.seconds.append(seconds)


def read_curve_file(path: Path) -> CurveFile:
    """Return the curves of a file; raises OptionError, naming the line, for what is no such file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # as spreadsheets write it
    except FileNotFoundError:
        raise OptionError(f"There is no run directory and no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} cannot be read as text ({error}).") from None
    rows = _rows(path, lines)
    metric, timed = _header(path, next(rows, (1, []))[1])
    trials: dict[int, CurveLines] = {}
    for line, row in rows:
        if not row:
            continue
        where = f"{path}, line {line}"
        trial, step, value, seconds = _numbers(where, row, timed)
        trials.setdefault(trial, CurveLines()).add(where, trial, step, value, seconds)
    if not trials:
        raise OptionError(f"{path} holds no curves: its first line is its only one.")
    return CurveFile(metric, timed, trials)


def _rows(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows of a file with the numbers of their lines; raises OptionError for what is no row."""
    rows = csv.reader(lines)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise OptionError(f"{path}, line {rows.line_num}: {error}.") from None


def _header(path: Path, row: Sequence[str]) -> tuple[str, bool]:
    """Return the metric's name, and whether there are times; raises OptionError for another first line."""
    names = [name.strip() for name in row]
    fits = names[:2] == ["trial", "step"] and names[3:] in ([], ["seconds"]) and any(names[2:])
    if not fits:
        raise OptionError(
            f"{path}, line 1: a file of curves begins with the names of its columns, {_LAYOUT}, "
            f"not {','.join(row)[:60]!r}."
        )
    return names[2], len(names) == 4


def _numbers(where: str, row: Sequence[str], timed: bool) -> tuple[int, int, float, float]:
    """Return trial, step, value and seconds of a line; a value that is left out is NaN."""
    if len(row) != 3 + timed:
        raise OptionError(f"{where}: a line has {3 + timed} columns as the first one does, not {len(row)}.")
    trial, step = (_whole(where, name, text) for name, text in zip(("trial", "step"), row, strict=False))
    value = _number(where, "value", row[2].strip() or "nan")
    return trial, step, value, _number(where, "seconds", row[3]) if timed else float(step)


def _whole(where: str, name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise OptionError(f"{where}: {name} must be a whole number, not {text[:40]!r}.") from None
    if abs(number) >= _MOST:
        raise OptionError(f"{where}: {name} must be below {_MOST:g}, not {text[:40]}.")
    return number


def _number(where: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{where}: {name} must be a number, not {text!r}.") from None
