"""What a problem file written with Keras 3 needs beside Keras.

Two callbacks for every backend go into ``fit`` together::

    checkpoint = Checkpoint(ctx)
    model.fit(x, y, ..., epochs=ctx.budget, callbacks=[checkpoint, Report(ctx)], verbose=0)
    return {"val_loss": min(checkpoint.history["val_loss"])}

What several processes train together needs Horovod, and with it TensorFlow: :mod:`deephpo.keras.distribute`.
Tested is all of this on TensorFlow.

Importing this imports Keras, and with it the backend that ``KERAS_BACKEND`` names.
"""

from deephpo.keras.checkpoint import Checkpoint
from deephpo.keras.distribute import Together, distribute
from deephpo.keras.report import Report
from deephpo.keras.scaling import LinearScaling
from deephpo.keras.shard import Shard

__all__ = ["Checkpoint", "LinearScaling", "Report", "Shard", "Together", "distribute"]
