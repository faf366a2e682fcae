"""The callback that lets a training which was cut off go on after its last whole epoch."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
from keras.callbacks import BackupAndRestore, Callback

from deephpo.keras.distribute import spread
from deephpo.keras.shard import Shard
from deephpo.worker.context import Context, numbers_of

States = list[list[int]]
"""Of a network's random generators."""

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
    So a training that goes on equals one that was never cut off if ``fit`` does not shuffle but the ``shard``
    does, or nothing; if ``fit`` does, it has just as many epochs, some in another order.

    Keras' own BackupAndRestore writes and reads the states.  It overwrites its files one by one, so that a
    kill may leave the weights of one epoch beside the number of another; here each epoch has a directory of
    its own, which gets its name when it is whole.

    Of several processes the first one alone writes and reads, and the others get from it what it has read:
    all go on after the same epoch, with the same weights, each with its own random generators; with the first
    one's moving averages too, where there is BatchNormalization.

    hvd: what ``ctx.horovod()`` gave, where several processes train together.  shard: what they train on, if
    its orders are to go on too.  Raises ValueError if ``hvd`` is missing.
    """

    def __init__(self, ctx: Context, hvd: ModuleType | None = None, shard: Shard | None = None) -> None:
        super().__init__()
        if ctx.size > 1 and hvd is None:
            raise ValueError(
                f"Checkpoint: {ctx.size} processes train together, and must go on after the same epoch; give "
                "it what ctx.horovod() gave, as in Checkpoint(ctx, hvd)."
            )
        self._directory = ctx.directory / "checkpoint"
        self._rank, self._size = ctx.rank, ctx.size
        self._hvd = hvd
        self._shard = shard
        self.history: dict[str, list[float]] = {}
        """The metrics of all epochs, those before an interruption too, as in Keras' own ``History``."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Go on after the last whole epoch, if there is one that can be read; else begin anew."""
        found = self._read() if self._rank == 0 else None
        if self._hvd is not None:
            found = self._hvd.broadcast_object(found, root_rank=0, name="checkpoint")
        self.history = {}
        if found is None:
            return
        if self._hvd is not None:
            spread(self.model, self._hvd)
        epoch, self.history, generators = found
        self.model._initial_epoch = epoch  # where Keras' backup has put it on the first one
        self._set_generators(generators[self._rank])
        if self._shard is not None:
            self._shard.skip(epoch)

    def _read(self) -> tuple[int, dict[str, list[float]], list[States]] | None:
        """Restore the last whole epoch; return its number, the metrics, and all processes' generators.

        Returns None, and leaves all as it was, if there is none that can be read.
        """
        whole = self._whole()
        if not whole:
            return None
        self.model.optimizer.build(self.model.trainable_variables)
        variables = [*self.model.variables, *self.model.optimizer.variables]
        before = [keras.ops.convert_to_numpy(variable) for variable in variables]
        try:
            beside = json.loads((whole[-1] / _BESIDE).read_text())
            generators = beside["generators"]
            if len(generators) != self._size:
                raise ValueError(f"{len(generators)} processes wrote it, and there are {self._size} now")
            self._set_generators(generators[0])
            self._keras_backup(whole[-1]).on_train_begin()  # the epoch to begin with is the last it sets
        except _DAMAGED as error:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            warnings.warn(
                f"The checkpoint {whole[-1]} cannot be read, so the training begins anew: {error}",
                stacklevel=3,
            )
            return None
        return _epoch_of(whole[-1]), beside["history"], generators

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the epoch, and only then remove the one before."""
        for name, value in numbers_of(logs or {}).items():
            self.history.setdefault(name, []).append(value)
        generators = [[keras.ops.convert_to_numpy(state).tolist() for state in self._generators()]]
        if self._hvd is not None:
            generators = self._hvd.allgather_object(generators[0], name="generators")
        if self._rank == 0:
            self._write(epoch, generators)

    def _write(self, epoch: int, generators: list[States]) -> None:
        whole, partial = self._directory / f"epoch-{epoch + 1}", self._directory / _PARTIAL
        older = [directory for directory in self._whole() if directory != whole]
        for directory in (partial, whole):  # left by a kill in the middle, and damaged
            shutil.rmtree(directory, ignore_errors=True)
        partial.mkdir(parents=True)
        self._keras_backup(partial).on_epoch_end(epoch)
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

    def _set_generators(self, states: States) -> None:
        for variable, state in zip(self._generators(), states, strict=True):
            variable.assign(state)

    def _whole(self) -> list[Path]:
        """Return the directories of whole epochs, the last one last."""
        return sorted(self._directory.glob("epoch-*"), key=_epoch_of)


def _epoch_of(directory: Path) -> int:
    """Return how many epochs are done, by the name of a whole one's directory."""
    return int(directory.name.removeprefix("epoch-"))
