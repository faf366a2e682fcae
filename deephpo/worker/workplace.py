"""Where a run's trials find their problem and their files, and how many threads they may use."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from deephpo.hardware.devices import Devices, environment_of
from deephpo.trial import Trial
from deephpo.worker.context import DEVICE_VARIABLE
from deephpo.worker.limits import Limits
from deephpo.worker.messages import Assignment
from deephpo.worker.place import ALONE, Place
from deephpo.worker.process import TrialProcess

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class Workplace:
    """The same for all workers of a run; the master sends it to them."""

    target: str
    """The problem, as for ``deephpo search``."""
    trials: str
    """Below it each trial that asks for it gets a directory of its own."""
    outputs: str | None = None
    """Below it is what the trials print; None: it is kept nowhere."""
    declaration: str | None = None
    """What the problem must declare wherever it is loaded, as JSON."""
    limits: Limits = field(default_factory=Limits)
    """What one trial may take."""
    notice_s: float = 0.0
    """How long before the end of the search a trial is to stop by itself."""

    def assignment(
        self, trial: Trial, attempt: int = 0, left_s: float | None = None, place: Place = ALONE
    ) -> Assignment:
        """Return what a child is told of the trial."""
        return Assignment(
            trial.id,
            trial.config,
            trial.seed,
            str(Path(self.trials) / f"{trial.id:06d}"),
            attempt,
            left_s,
            self.notice_s,
            place=place,
        )

    def process_of(self, worker: int, cores: float, devices: Devices) -> TrialProcess:
        """Start the process in which a worker's trials run, on so many cores and on these accelerators."""
        output = None if self.outputs is None else Path(self.outputs) / f"worker-{worker:05d}.txt"
        environment = thread_limits(cores) | environment_of(devices) | {DEVICE_VARIABLE: devices.in_trial}
        return TrialProcess(self.target, output, environment, self.limits, self.declaration)


def thread_limits(cores: float) -> dict[str, str]:
    """Return variables that keep a child's thread pools to the cores it owns; what the user set stays.

    Without them every trial starts a thread for every core of the node, and the trials of one node spend
    their time waiting for each other.
    """
    threads = str(max(1, int(cores)))
    return {name: threads for name in _THREAD_VARIABLES if name not in os.environ}
