"""The callback through which a Keras training speaks with the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras.callbacks import Callback

from deephpo.errors import TrialStopped
from deephpo.worker.context import Context


class Report(Callback):  # type: ignore[misc]  # mypy does not follow keras
    """Reports all metrics after every epoch, and ends the training when the rule or the time says so.

    Epochs count from 1, as ``Fidelity("epoch", 50)`` does.  The metrics have the names that Keras gives them,
    so the objective is simplest one of those: "val_loss", "val_accuracy" to be maximised, or "val_" and the
    name of a function of one's own that ``compile(metrics=[...])`` got.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self._ctx = ctx

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raise TrialStopped as soon as a stopping rule wants the trial to end, in mid-epoch too.

        What several processes train ``Together`` ends with the epoch, in all of them.
        """
        if self._ctx.size == 1 and self._ctx.stopped:
            raise TrialStopped

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report, and look at the time; what several processes train ``Together`` averages and ends."""
        if logs:
            self._ctx.report(epoch + 1, **logs)
        if self._ctx.size == 1 and self._ctx.should_stop():
            self.model.stop_training = True
