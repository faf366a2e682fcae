"""Data-parallel training with Keras 3: every process of a trial trains on its shard, and all stay equal.

    with ctx.horovod() if ctx.size > 1 else nullcontext() as hvd:
        model.compile(distribute(Adam(rate), hvd), loss=..., jit_compile=False)
        shard = Shard(x, y, batch_size, ctx)
        checkpoint = Checkpoint(ctx, hvd, shard)
        model.fit(shard, shuffle=False, callbacks=[Together(ctx, hvd), checkpoint, Report(ctx)], ...)

Where there is but one process ``hvd`` is None, and nothing needs Horovod.  With several it is
``horovod.tensorflow``, so the backend is TensorFlow.  Horovod's own Keras wrappers know Keras 2 only; of
Horovod just its operations are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import keras
from keras.callbacks import Callback

from deephpo.worker.context import Context


def distribute(optimizer: Any, hvd: ModuleType | None) -> Any:
    """Return the optimizer as one that averages the gradients over all processes before each step.

    optimizer: a Keras optimizer, or the name of one.  hvd: what ``ctx.horovod()`` gave; None for a process
    alone, whose optimizer stays as it is.  The result is of a subclass with the same name and configuration.
    Compile with ``jit_compile=False``: Horovod's operations are none of XLA's.
    """
    optimizer = keras.optimizers.get(optimizer)
    if hvd is None:
        return optimizer
    kind = type(optimizer)

    def apply(self: Any, grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        return kind.apply(self, _averages(grads, hvd, "gradients"), trainable_variables)

    # Under its module's name too: a model that is saved with it can be loaded anywhere, with the given one.
    about = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    distributed: Any = type(kind.__name__, (kind,), {"apply": apply, **about})
    return distributed.from_config(optimizer.get_config())


def spread(model: Any, hvd: ModuleType) -> None:
    """Give all processes the weights and the optimizer's state of the first one."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for place, variable in enumerate([*model.weights, *model.optimizer.variables]):
        value = keras.ops.convert_to_tensor(variable)
        variable.assign(hvd.broadcast(value, root_rank=0, name=f"weights.{place}"))


class Together(Callback):  # type: ignore[misc]  # mypy does not follow keras
    """Keeps the processes of a trial together; goes before all other callbacks.

    All begin with the first one's weights.  The metrics of each epoch are averaged, so that callbacks behind
    this one decide the same everywhere, and all end when the first is told that the search ends: one that
    went on alone would wait for the others for ever.  The moving averages of BatchNormalization are of each
    process's own rows, and stay so.
    """

    def __init__(self, ctx: Context, hvd: ModuleType | None) -> None:
        super().__init__()
        self._ctx = ctx
        self._hvd = hvd

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Give all processes the weights and the optimizer's state of the first one."""
        if self._hvd is not None:
            spread(self.model, self._hvd)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Average the metrics, in place, and agree on whether this was the last epoch."""
        if self._hvd is None:
            return
        logs = {} if logs is None else logs
        names = sorted(logs)
        ends = self._ctx.rank == 0 and self._ctx.should_stop()
        values = [float(value) for value in (*[logs[name] for name in names], ends)]
        tensors = [keras.ops.convert_to_tensor(value) for value in values]
        *means, share = [float(mean) for mean in _averages(tensors, self._hvd, "metrics")]
        logs.update(zip(names, means, strict=True))
        if share > 0:
            self.model.stop_training = True


def _averages(tensors: Sequence[Any], hvd: ModuleType, name: str) -> list[Any]:
    """Return the tensors' averages over all processes; None, the gradient of what is not used, stays so."""
    import tensorflow as tf

    # An embedding's gradient is sparse, and stays so, as Keras treats it in another way than a dense one.
    # Each goes by itself: of several beside dense ones Horovod mixes up the shapes.
    together = [tensor for tensor in tensors if not isinstance(tensor, tf.IndexedSlices | None)]
    averages = iter(hvd.grouped_allreduce(together, op=hvd.Average, name=name))

    def average(tensor: Any) -> Any:
        if isinstance(tensor, tf.IndexedSlices):
            return hvd.allreduce(tensor, op=hvd.Average)
        return None if tensor is None else next(averages)

    return [average(tensor) for tensor in tensors]
