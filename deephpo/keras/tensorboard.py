"""TensorBoard logs of trials, for who asks for them.

A problem's file lets itself be asked by one word in its call of ``fit``, after its other callbacks::

    callbacks=[checkpoint, Report(ctx), *requested(ctx)]

Then every trial of a search writes logs into its own directory if the environment says so, with histograms
of all weights if it says that; and TensorBoard shows the trials beside each other::

    DEEPHPO_TENSORBOARD=1 deephpo search problem.py --run-dir runs/NAME
    DEEPHPO_TENSORBOARD=histograms deephpo search problem.py --run-dir runs/NAME
    tensorboard --logdir runs/NAME/trials

The same word lets :mod:`deephpo.keras.retraining` keep what it is for.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import keras

from deephpo.errors import MissingPackageError, OptionError
from deephpo.worker.context import Context

VARIABLE = "DEEPHPO_TENSORBOARD"
_HISTOGRAMS = {"": None, "0": None, "1": False, "histograms": True}
"""Whether histograms are asked for, by the variable's value; None: nothing is."""


def requested(ctx: Context) -> list[Any]:
    """Return the Keras callbacks that somebody asks for beyond the problem's own; mostly there are none.

    Raises OptionError if DEEPHPO_TENSORBOARD asks for something unknown, MissingPackageError if it asks for
    logs and TensorBoard is not installed.
    """
    own = getattr(ctx, "callbacks", None)
    if own is not None:
        return list(own)
    value = os.environ.get(VARIABLE, "")
    if value not in _HISTOGRAMS:
        raise OptionError(f"{VARIABLE} is 1 or histograms, not {value!r}; 0 or nothing for no logs.")
    histograms = _HISTOGRAMS[value]
    return [] if histograms is None or ctx.rank else [tensorboard(ctx, histograms)]


def tensorboard(ctx: Context, histograms: bool = False) -> Any:
    """Return the Keras callback that logs a trial in ``ctx.directory``, epochs counted from 0 as Keras does.

    histograms: of all weights, after every epoch.  Raises MissingPackageError without TensorBoard.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingPackageError("tensorboard", "Logging for TensorBoard", "tensorboard")
    return keras.callbacks.TensorBoard(
        str(ctx.directory / "tensorboard"), histogram_freq=int(histograms), write_graph=False
    )
