"""What was told again: a trial that was stopped and goes on later ends once more, with another value."""

from __future__ import annotations

from array import array

import numpy as np

from deephpo.space.arrays import Vector
from deephpo.surrogates.protocol import Places


class Revisions:
    """Which observations were given another value, in this order, and which values they had before.

    So what was known at some moment can be had again: a search that is resumed needs it to grow the trees
    that it had (``engine/replay.py``).
    """

    def __init__(self) -> None:
        self._numbers = array("q")
        self._before = array("d")

    def __len__(self) -> int:
        return len(self._numbers)

    def note(self, number: int, before: float) -> None:
        """Take note that an observation, which had a value before, has another one now."""
        self._numbers.append(number)
        self._before.append(before)

    def since(self, count: int) -> Places:
        """Return the numbers of the observations that all revisions but the first so many concern.

        Each is there once, in the order of numbers.
        """
        return np.unique(np.array(self._numbers[count:], dtype=np.int64))

    def undone(self, values: Vector, count: int) -> Vector:
        """Return the values of the first observations, shape (n,), as they were after so many revisions."""
        if count == len(self):
            return values
        # Of several revisions of one observation the first knows what was there before all of them.
        numbers, first = np.unique(np.array(self._numbers[count:], dtype=np.int64), return_index=True)
        known = numbers < len(values)
        values = values.copy()
        values[numbers[known]] = np.array(self._before[count:])[first[known]]
        return values
