"""The learning rate of data-parallel training: larger batches, larger steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras.callbacks import Callback

from deephpo.worker.context import Context


class LinearScaling(Callback):  # type: ignore[misc]  # mypy does not follow keras
    """Multiplies the learning rate by the number of processes, after a warm-up in which it grows evenly.

    The linear rule of Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2: with K times as many
    rows in a batch the learning rate is K times as large, and reaches that from its own value within the
    first epochs.  A learning rate that a schedule or another callback sets is not for this one.
    """

    def __init__(self, ctx: Context, warmup_epochs: int = 5) -> None:
        super().__init__()
        self._size = ctx.size
        self._warmup_epochs = warmup_epochs
        self._rate = 0.0
        self._epoch = 0

    def set_model(self, model: Any) -> None:
        """Take the learning rate of the optimizer as that of a single process."""
        super().set_model(model)
        # Not at the beginning of the training: then a checkpoint may have brought one that is multiplied.
        self._rate = float(model.optimizer.get_config()["learning_rate"])

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note where the warm-up is."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Set the learning rate of one step."""
        done = self._epoch + batch / self.params["steps"]
        share = min(1.0, done / self._warmup_epochs) if self._warmup_epochs else 1.0
        self.model.optimizer.learning_rate = self._rate * (1 + share * (self._size - 1))
