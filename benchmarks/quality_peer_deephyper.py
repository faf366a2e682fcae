"""DeepHyper's CBO, run by its own Python (``quality_peers``): the public ask and tell, one point at a time.

Its defaults (extremely randomised trees, UCB), but ``acq_optimizer="sampling"``: with the default genetic
algorithm a search of 160 results takes minutes of CPU time.  Points that were asked earlier and not told are
known to CBO as such; its liars act within one ask only.
"""

from __future__ import annotations

import tempfile
import warnings
from typing import Any

from deephyper.hpo import CBO
from peer_deephyper import problem
from quality_peer_script import Task, main


class DeepHyperSearch:
    """A CBO, which maximizes."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        self._search = CBO(
            problem(task.space),
            random_state=task.seed,
            log_dir=tempfile.mkdtemp(),
            acq_optimizer="sampling",
        )
        self._asked: list[dict[str, Any]] = []

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return a new configuration; what is inactive in it is NaN."""
        [config] = self._search.ask(1)
        self._asked.append(config)
        return len(self._asked) - 1, config

    def tell(self, point: int, loss: float) -> None:
        """Tell the loss of a configuration."""
        self._search.tell([(self._asked[point], -loss)])


if __name__ == "__main__":
    main(DeepHyperSearch, "deephyper")
