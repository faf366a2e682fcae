"""The Context that ``run(config, ctx)`` gets: what a trial may know, and how it speaks while it runs."""

from __future__ import annotations

import math
import numbers
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from deephpo.errors import TrialStopped
from deephpo.trial import Report
from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Meeting
from deephpo.worker.rendezvous import Rendezvous

DEVICE_VARIABLE = "DEEPHPO_DEVICE"
"""The environment variable from which a child knows :attr:`Context.device`."""


class Context:
    """Handed to every evaluation."""

    def __init__(
        self,
        assignment: Assignment,
        budget: int | None,
        send: Callable[[Report | Meeting], None],
        inbox: Inbox | None = None,
    ) -> None:
        self.rank = assignment.place.rank
        """This process's place among those that train the trial together."""
        self.size = assignment.place.size
        """How many processes train the trial together."""
        self.local_rank = assignment.place.local_rank
        """This process's place among those of them that are on its host."""
        self.trial_id = assignment.trial_id
        """The trial's number, counted from 0."""
        self.seed = assignment.seed
        """For the training's random numbers: the same for the same trial of the same search."""
        self.budget = budget
        """The last step of the problem's fidelity; None if it has none."""
        self.attempt = assignment.attempt
        """How often this trial was started before; above 0 there may be a checkpoint in ``directory``."""
        self.device = os.environ.get(DEVICE_VARIABLE, "cpu")
        """The first accelerator that the trial owns, as Keras calls it: ``gpu:0``, ``xpu:0``, or ``cpu``.

        The trial sees no others; PyTorch's name is ``ctx.device.replace("gpu", "cuda")``.
        """
        self._directory = Path(assignment.directory)
        self._send = send
        self._inbox = inbox or Inbox(assignment)
        self._rendezvous = Rendezvous(assignment, send, self._inbox)
        self._end_s = None if assignment.left_s is None else time.monotonic() + assignment.left_s
        self._notice_s = assignment.notice_s

    @property
    def met(self) -> bool:
        """Whether the processes of this trial have met; one by itself always has."""
        return self.size == 1 or self._rendezvous.met

    @property
    def directory(self) -> Path:
        """A directory of the trial's own, for checkpoints and the like; made at its first use."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory

    def time_left(self) -> float:
        """Return the seconds until the search ends, and with it this trial; infinity if there is no end."""
        return math.inf if self._end_s is None else max(0.0, self._end_s - time.monotonic())

    @property
    def stopped(self) -> bool:
        """Whether a stopping rule wants this trial to end; of several ranks rank 0 is told."""
        self._inbox.look()
        return self._inbox.halted

    def should_stop(self) -> bool:
        """Return whether the trial should save what it needs and return.

        Because a stopping rule wants it to, which of several ranks rank 0 is told, or because the search is
        about to end.
        """
        return self.stopped or self.time_left() <= self._notice_s

    def report(self, step: int, **metrics: float) -> None:
        """Send the metrics of one step to the master; returns as soon as they are on their way.

        step: a whole number from 0 on, such as the epoch.  Raises TrialStopped if a stopping rule wants the
        trial to end, unless it has several ranks: rank 0 alone is told, and must not leave the others
        waiting, so it asks :meth:`should_stop` and tells them.  Raises TypeError or ValueError, so that the
        trial fails at its first report rather than at its last, when the step or a metric is no number.
        Of a trial on several ranks only what rank 0 reports is sent.
        """
        if isinstance(step, bool) or not isinstance(step, numbers.Integral):
            raise TypeError(f"ctx.report: step must be a whole number, not {step!r}.")
        if step < 0:
            raise ValueError(f"ctx.report: step counts from 0, but it is {step}.")
        if step >= 2**63:
            raise ValueError("ctx.report: step must be below 2 ** 63, as a file of results can hold it.")
        if not metrics:
            raise ValueError("ctx.report: name at least one metric, as in ctx.report(epoch, val_error=0.1).")
        report = Report(self.trial_id, int(step), numbers_of(metrics))
        if self.rank == 0:
            self._send(report)
        if self.size == 1 and self.stopped:
            raise TrialStopped

    @contextmanager
    def horovod(self) -> Iterator[ModuleType]:
        """Yield ``horovod.tensorflow``, initialised over the processes of this trial, which may be one.

        To be called by all of them.  Raises HorovodError where Horovod is not installed.
        """
        from deephpo.worker.horovod import horovod_over

        with horovod_over(self._rendezvous) as hvd:
            yield hvd

    @contextmanager
    def torch(self) -> Iterator[ModuleType]:
        """Yield ``torch.distributed`` with a process group over this trial's processes, which may be one.

        For ``DistributedDataParallel`` and the like, without anything to build.  To be called by all of them.
        Raises TorchError where PyTorch is not installed.
        """
        from deephpo.worker.torch_distributed import torch_over

        with torch_over(self._rendezvous, self.device) as dist:
            yield dist


def numbers_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics as plain floats; raises TypeError, naming the metric, if one is no number."""
    plain = {}
    for name, value in metrics.items():
        number = as_number(value)
        if number is None:
            raise TypeError(f"the metric {name!r} must be a number, not {value!r} ({type(value).__name__}).")
        plain[str(name)] = number
    return plain


def as_number(value: Any) -> float | None:
    """Return a number of Python, numpy or a tensor library as a float; None if it is none."""
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is torch's for a whole tensor
        return None
