"""Data that must be downloaded: once for all processes, and with a sentence where there is no internet."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deephpo.errors import UserError

Arrays = dict[str, NDArray[Any]]


def datasets() -> Path:
    """Return where Keras keeps what it downloads: ``$KERAS_HOME/datasets``, by default in ``~/.keras``."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets"


def downloaded(name: str, load: Callable[[], Mapping[str, Any]], url: str, file: str) -> Arrays:
    """Return the arrays that ``load`` returns, which is called once, whoever asks and how often.

    ``keras.datasets`` is not made for many processes that begin at once: each would download, and unpack
    over what another one reads.  So the first one loads while the others on its node wait, and keeps the
    arrays in one file, which all later ones read.

    name: of the data, and of that file.
    load: ``load()``, such as one that calls ``keras.datasets.mnist.load_data()``.
    url, file: what it downloads, and under which name Keras keeps it in :func:`datasets`; for the user who
        must copy it there by hand.

    Raises UserError with the cures if it cannot be downloaded; those who waited do not try again.
    """
    kept = datasets() / "deephpo" / f"{name}.npz"
    if not kept.exists():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            lock = kept.with_suffix(".lock").open("a+")
        except OSError as error:
            raise UserError(
                f"{name} cannot be kept: {error}. Set KERAS_HOME to a directory that can be written."
            ) from None
        with lock:
            failure = _failure_waited_for(lock)
            if not kept.exists():
                failure = failure or _keep(kept, load)
            if failure:
                lock.write(failure)
                raise UserError(_cures(name, failure, url, file))
    with np.load(kept) as arrays:
        return dict(arrays)


def _failure_waited_for(lock: IO[str]) -> str:
    """Lock; return why the process that was waited for could not download, if it could not."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        failure = lock.read()
    else:
        failure = ""
    lock.truncate(0)
    return failure


def _keep(kept: Path, load: Callable[[], Mapping[str, Any]]) -> str:
    """Load and keep the arrays; return why it failed, if it did."""
    try:
        arrays = load()
    except Exception as error:  # noqa: BLE001  (Keras raises a bare Exception when a download fails)
        return " ".join(str(error).split()) or type(error).__name__
    partial = kept.with_suffix(".partial")
    with partial.open("wb") as target:
        np.savez(target, **arrays)
    partial.rename(kept)
    return ""


def _cures(name: str, failure: str, url: str, file: str) -> str:
    return (
        f"{name} cannot be downloaded: {failure}. If this node has no internet, run the problem's file with "
        f"python once where there is some, such as on a login node, or download {url} and put it at "
        f"{datasets() / file}. To try the search without the data, write :stand_in behind the file."
    )
