"""The callback that lets a training which was cut off go on after its last whole epoch."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras.callbacks import BackupAndRestore, Callback

from deephpo.worker.context import Context, numbers_of

_BESIDE = "beside.json"
"""What Keras' own backup leaves out."""
_PARTIAL = "partial"
_DAMAGED = (OSError, ValueError, KeyError)
"""What h5py, json and Keras raise about a file that is cut off, mixed up, or of another network."""


class Checkpoint(Callback):  # type: ignore[misc]  # mypy does not follow keras
    """Saves the training after every epoch in ``ctx.directory``, and goes on there when it is started again.

    Saved are the weights, the optimizer's state, the states of the layers' random generators (dropout and the
    like), the epoch, and the metrics of all epochs.  Not saved are the order in which ``fit`` shuffles, which
    Keras keeps to itself and begins anew, and what other callbacks remember, such as ReduceLROnPlateau.
    So a training that goes on equals one that was never cut off if ``fit`` does not shuffle; if it does, it
    has just as many epochs, some in another order.

    Keras' own BackupAndRestore writes and reads the states.  It overwrites its files one by one, so that a
    kill may leave the weights of one epoch beside the number of another; here each epoch has a directory of
    its own, which gets its name when it is whole.

    In a data-parallel trial the first rank writes and all read.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self._directory = ctx.directory / "checkpoint"
        self._writes = ctx.rank == 0
        self.history: dict[str, list[float]] = {}
        """The metrics of all epochs, those before an interruption too, as in Keras' own ``History``."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Go on after the last whole epoch, if there is one that can be read; else begin anew."""
        self.history = {}
        whole = self._whole()
        if not whole:
            return
        self.model.optimizer.build(self.model.trainable_variables)
        variables = [*self.model.variables, *self.model.optimizer.variables]
        before = [keras.ops.convert_to_numpy(variable) for variable in variables]
        try:
            beside = json.loads((whole[-1] / _BESIDE).read_text())
            for state, value in zip(self._generators(), beside["generators"], strict=True):
                state.assign(value)
            self._keras_backup(whole[-1]).on_train_begin()  # the epoch to begin with is the last it sets
        except _DAMAGED as error:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            warnings.warn(
                f"The checkpoint {whole[-1]} cannot be read, so the training begins anew: {error}",
                stacklevel=2,
            )
        else:
            self.history = beside["history"]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the epoch, and only then remove the one before."""
        for name, value in numbers_of(logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if not self._writes:
            return
        whole, partial = self._directory / f"epoch-{epoch + 1}", self._directory / _PARTIAL
        older = [directory for directory in self._whole() if directory != whole]
        for directory in (partial, whole):  # left by a kill in the middle, and damaged
            shutil.rmtree(directory, ignore_errors=True)
        partial.mkdir(parents=True)
        self._keras_backup(partial).on_epoch_end(epoch)
        generators = [keras.ops.convert_to_numpy(state).tolist() for state in self._generators()]
        (partial / _BESIDE).write_text(json.dumps({"history": self.history, "generators": generators}))
        partial.rename(whole)
        for directory in older:
            shutil.rmtree(directory)

    def _keras_backup(self, directory: Path) -> BackupAndRestore:
        backup = BackupAndRestore(str(directory), delete_checkpoint=False)
        backup.set_model(self.model)
        return backup

    def _generators(self) -> list[Any]:
        """Return the states of the random generators: all variables but the weights and the metrics."""
        others = {id(variable) for variable in (*self.model.weights, *self.model.metrics_variables)}
        return [variable for variable in self.model.variables if id(variable) not in others]

    def _whole(self) -> list[Path]:
        """Return the directories of whole epochs, the last one last."""
        found = self._directory.glob("epoch-*")
        return sorted(found, key=lambda directory: int(directory.name.removeprefix("epoch-")))
