"""Train the best trial of a run once more, and keep what a search does not: weights, and histograms of them.

    python -m deephpo.keras.retraining RUN [--output RUN/best]

leaves in the output directory

    network.keras   the network with its weights of the best epoch: ``keras.models.load_model`` reads it
    tensorboard/    the learning curves and histograms of all weights: ``tensorboard --logdir RUN/best``
    result.json     the configuration, what ``run`` returned, and the metrics of all epochs

The trial is trained in this one process, by the ``run`` of the problem's file, with its configuration and its
seed, from the beginning.  What is asked of ``run`` is that it reports, and that it hands ``*requested(ctx)``
to ``fit``, as :mod:`deephpo.keras.tensorboard` says.  A retraining that was interrupted goes on from its
checkpoint if the problem is resumable.  The backend is that of ``KERAS_BACKEND``.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras.callbacks import Callback

from deephpo.errors import ProblemError, RunDirectoryError
from deephpo.keras.best_trial import BestTrial, best_trial
from deephpo.keras.command import answer
from deephpo.keras.tensorboard import tensorboard
from deephpo.problem import Problem
from deephpo.storage.run_directory import replacing
from deephpo.worker.context import Context, numbers_of
from deephpo.worker.loading import load_problem
from deephpo.worker.messages import Assignment

Metrics = dict[str, Any]
NETWORK, RESULT = "network.keras", "result.json"


class Retraining(Context):
    """The context of a training whose network is to be kept as it was in its best epoch."""

    def __init__(self, best: BestTrial, problem: Problem, directory: Path, history: list[Metrics]) -> None:
        trial, declaration = best.trial, problem.declaration
        assignment = Assignment(
            trial.id, trial.config, trial.seed, str(directory), attempt=int(bool(history))
        )
        fidelity = declaration.fidelity
        super().__init__(assignment, fidelity.high if fidelity else None, self._keep)
        self._best, self._declaration, self._network = best, declaration, _Network()
        self.callbacks = [self._network, tensorboard(self, histograms=True)]
        """For ``fit``: :func:`~deephpo.keras.tensorboard.requested` returns them."""
        self.history = history
        """What was reported, one entry a step."""

    def _keep(self, report: Any) -> None:
        """Save the network if no report before was better, and what is known so far."""
        model = self._network.model
        if model is None:
            raise ProblemError(
                f"run() of {self._best.target} reports, but hands nothing of this retraining to fit(): add "
                "*requested(ctx), from deephpo.keras.tensorboard, to the list of its callbacks."
            )
        entry = {"step": report.step, **report.metrics}
        self.history = [earlier for earlier in self.history if earlier["step"] < report.step]
        if self._cost(entry) <= min(map(self._cost, self.history), default=math.inf):
            model.save(self.directory / f"partial-{NETWORK}")
            (self.directory / f"partial-{NETWORK}").replace(self.directory / NETWORK)
        self.history.append(entry)
        self.write(None)

    def _cost(self, entry: Metrics) -> float:
        """Return the objective, turned so that less is better; all are the same if it is not reported."""
        value = float(entry.get(self._declaration.objective, 0.0))
        if math.isnan(value):
            return math.inf
        return value if self._declaration.direction == "minimize" else -value

    def write(self, metrics: Metrics | None) -> dict[str, Any]:
        """Write what is known, and return it.  metrics: what ``run`` returned; None until it has."""
        result = {
            "trial": self.trial_id,
            "config": dict(self._best.trial.config),
            "objective": self._declaration.objective,
            "value_in_search": self._best.trial.value,
            "metrics": metrics,
            "history": self.history,
        }
        with replacing(self.directory / RESULT) as temporary:
            temporary.write_text(json.dumps(result, indent=1))
        return result


class _Network(Callback):  # type: ignore[misc]  # mypy does not follow keras
    """Knows the network that is being trained: Keras sets ``model`` when ``fit`` begins."""


def retrain(run: Path, target: str | None = None, output: Path | None = None) -> dict[str, Any]:
    """Train the best trial of a run again; return what ``result.json`` holds.

    run: the run's directory.  target: the problem, if its file is elsewhere now.  output: a directory, by
    default "best" in the run's.  Raises RunDirectoryError if there is no best trial or it is retrained
    already, ProblemError for a problem that cannot be retrained, and whatever ``run`` raises.
    """
    best, directory = best_trial(run), output or run / "best"
    problem = load_problem(target or best.target)
    if not problem.takes_context:
        raise ProblemError(f"run() of {best.target} takes no ctx, so its network cannot be asked for.")
    found = directory.exists()
    context = Retraining(best, problem, directory, _unfinished(directory, best, problem))
    try:
        returned = problem.run(dict(best.trial.config), context)
    except ProblemError:
        if not found:  # so that it can be tried again once the problem's file is mended
            shutil.rmtree(directory)
        raise
    return context.write(
        numbers_of(returned if isinstance(returned, Mapping) else {best.objective: returned})
    )


def _unfinished(directory: Path, best: BestTrial, problem: Problem) -> list[Metrics]:
    """Return what an interrupted retraining of the same trial reported, if the problem can go on there."""
    if not (directory / RESULT).exists():
        return []
    before = json.loads((directory / RESULT).read_text())
    same = before.get("trial") == best.trial.id and before.get("metrics") is None
    if not (same and problem.declaration.resumable):
        raise RunDirectoryError(
            f"{directory} holds a retraining already; remove it, or choose another --output."
        )
    return list(before["history"])


def main(words: Sequence[str] | None = None) -> int:
    """Train the best trial of a run again, and keep its weights and histograms of them."""
    parser = argparse.ArgumentParser(prog="python -m deephpo.keras.retraining", description=main.__doc__)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="the directory of the run")
    parser.add_argument("--problem", metavar="PROBLEM", help="the problem, if its file is elsewhere now")
    parser.add_argument("--output", metavar="DIR", type=Path, help="where to (default: RUN_DIR/best)")
    given = parser.parse_args(words)

    def work() -> str:
        result = retrain(given.run_dir, given.problem, given.output)
        objective = result["objective"]
        value, before = result["metrics"][objective], result["value_in_search"]
        return (
            f"Trial {result['trial']} is retrained: {objective} = {value:.4g}, where the search had "
            f"{before:.4g}. The network is {(given.output or given.run_dir / 'best') / NETWORK}: "
            "keras.saving.load_model(..., compile=False)."
        )

    return answer(work)


if __name__ == "__main__":
    sys.exit(main())
