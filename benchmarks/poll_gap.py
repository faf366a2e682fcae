"""The longest time for which the model keeps the message loop from looking for messages.

    python benchmarks/poll_gap.py [--told 100000] [--seconds 20]

A search that knows so many observations thinks in its thread, first of all its model's first whole fit,
while the main thread does what the message loop does between two polls when nothing happens: it sleeps a
millisecond and collects what was suggested.  Each answer is told back at once, and as many are asked again.
Printed is one line of JSON: the longest gaps between two polls, in ms.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass

import numpy as np
from landscape import Landscape
from master_cost import flat_space

from deephpo.engine.events import Ask, Tell
from deephpo.engine.patience import PATIENCE_S
from deephpo.engine.suggester import ThreadedSuggester
from deephpo.search.create import create_search
from deephpo.search.search import Search
from deephpo.trial import Outcome, TrialState

ASKED = 64
"""So many suggestions are out at any time."""


@dataclass(frozen=True)
class Gaps:
    """What was seen of the polls."""

    first_answer_s: float
    """After so long the first answer came: the first whole fit is in it."""
    answers: int
    longest_ms: float
    p999_ms: float
    """One of a thousand gaps was longer."""


def taught(told: int, seed: int = 1) -> tuple[Search, Landscape]:
    """Return a search that knows so many random observations, and the objective that they are of."""
    space = flat_space()
    objective = Landscape(space.to_dict())
    search = create_search("ambs", space, seed=seed)
    encoding, rng = space.encoding(), np.random.default_rng(seed)
    for config in encoding.decode(encoding.sample(told, rng)):
        search.learn(config, objective(config))
    return search, objective


def watch(search: Search, objective: Landscape, seconds: float) -> Gaps:
    """Poll beside a search that thinks all the time."""
    suggester = ThreadedSuggester(search)
    suggester.submit(Ask(ASKED))
    began = before = time.monotonic()
    first_answer_s, answers = float("nan"), 0
    gaps: list[float] = []
    while before - began < seconds or not answers:
        time.sleep(PATIENCE_S[0])
        for answer in suggester.collect():
            first_answer_s = first_answer_s if answers else time.monotonic() - began
            answers += 1
            for trial in answer.trials:
                value = objective(trial.config)
                suggester.submit(Tell(trial, Outcome(trial.id, TrialState.COMPLETED, value)))
            suggester.submit(Ask(ASKED))
        now = time.monotonic()
        gaps.append(now - before)
        before = now
    suggester.close()
    p999 = float(np.quantile(gaps, 0.999))
    return Gaps(first_answer_s, answers, 1000 * max(gaps), 1000 * p999)


def main() -> None:
    """Print the gaps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--told", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    search, objective = taught(options.told)
    print(json.dumps(asdict(watch(search, objective, options.seconds))))


if __name__ == "__main__":
    main()
