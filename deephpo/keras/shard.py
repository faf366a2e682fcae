"""Each process's share of the data: equally many batches for all, and together those of one process."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from deephpo.worker.context import Context


class Shard(keras.utils.PyDataset):  # type: ignore[misc]  # mypy does not follow keras
    """The part of arrays that one process of a trial trains on, for ``model.fit``.

    The global batch has ``batch_size`` rows for each process, which takes its own part of it; so K processes
    do what one does with batches K times as large.  All have equally many batches, as collective operations
    demand: the rows that do not fill a global batch, others in each epoch, are left out of it.

    To be given to ``fit`` with ``shuffle=False``: Keras would give each process its batches in another order,
    which does no harm, but is not what a single process does.

    x, y: arrays of n rows.  batch_size: rows a process takes at once; fewer, if there are not enough for all.
    shuffle: whether each epoch has an order of its own, which ``ctx.seed`` decides for all processes alike.
    Raises ValueError if a process is left without rows.
    """

    def __init__(
        self, x: Any, y: Any, batch_size: int, ctx: Context, shuffle: bool = True, **options: Any
    ) -> None:
        super().__init__(**options)
        if len(x) < ctx.size:
            raise ValueError(f"Shard: {len(x)} rows are too few for {ctx.size} processes.")
        if batch_size < 1:
            raise ValueError(
                f"Shard: batch_size must be at least 1 for each process, not {batch_size}; take batches of "
                f"at least {ctx.size} rows for {ctx.size} processes, or fewer processes."
            )
        self._x, self._y = x, y
        self._batch_size = min(batch_size, len(x) // ctx.size)
        self._rank, self._size = ctx.rank, ctx.size
        self._seed = ctx.seed if shuffle else None
        self._epoch = 0
        self._order = self._new_order()

    def __len__(self) -> int:
        """How many batches an epoch has."""
        whole = len(self._x) // (self._batch_size * self._size)
        # A single process need not leave anything out.
        return math.ceil(len(self._x) / self._batch_size) if self._size == 1 else whole

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return this process's part of a batch."""
        begin = (index * self._size + self._rank) * self._batch_size
        rows = self._order[begin : begin + self._batch_size]
        return self._x[rows], self._y[rows]

    def on_epoch_end(self) -> None:
        """Take another order."""
        self._epoch += 1
        self._order = self._new_order()

    def skip(self, epochs: int) -> None:
        """Go on as if so many more epochs had been; for what begins in the middle, such as ``Checkpoint``."""
        self._epoch += epochs
        self._order = self._new_order()

    def _new_order(self) -> Any:
        if self._seed is None:
            return np.arange(len(self._x))
        return np.random.default_rng([self._seed, self._epoch]).permutation(len(self._x))
