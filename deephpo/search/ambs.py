"""AMBS, asynchronous model-based search: a surrogate, a lower confidence bound, lies for what is pending.

P. Balaprakash, M. Salim, T. Uram, V. Vishwanath, S. Wild, DeepHyper: asynchronous hyperparameter search for
deep neural networks, HiPC 2018, algorithm 1; lies after D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is
well-suited to parallelize optimization, 2010.  We deviate in three points: the surrogate learns ranks rather
than raw values, half of the candidates are neighbours of the best configurations, and a lie is an update of
leaf statistics, not a refit.

Time goes by in *frames*.  A frame begins when enough is new (:func:`frame_of`): with every result at first,
later with every 64th to 128th part of all that was asked.  At its beginning all observations are ranked anew,
the oldest trees of the surrogate are grown anew, all that is pending gets a new lie, and new candidates are
scored.  Within a frame results and lies are updates, ranked among the values that the frame began with.  So a
result costs the same however many there are; and since the beginning of a frame depends on what was told, on
what is pending and on counters, but on no thought before it, a resumed search need go through no more than
its last frame again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from deephpo.acquisition import KAPPA
from deephpo.search.designs import SobolSearch
from deephpo.search.generation import Generation
from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows, Vector, key
from deephpo.space.encoding import Encoding
from deephpo.surrogates.forest import ForestSurrogate
from deephpo.surrogates.protocol import Places, Surrogate
from deephpo.surrogates.targets import Ranking
from deephpo.surrogates.trees import Kind

Lie = Literal["believer", "min", "mean", "max", "naive"]

INITIAL = 10
"""So many trials must have succeeded before the model is asked."""
CANDIDATES = 2000
"""How many candidates there are in a generation; a larger one would be dearer to pick from."""
PARENTS = 20
"""Half of the candidates are neighbours of the best eighth of the observations, of at most so many."""
_CONSTANT_LIES: dict[str, Callable[[Vector], np.float64]] = {"min": np.min, "mean": np.mean, "max": np.max}


def frame_of(n: int, m: int) -> tuple[int, int]:
    """Return the frame in which the search is when n results are known of m points that were asked.

    What is done at its beginning costs as much as m is large.  So a frame is ``2^k`` results long if m has k
    binary digits more than seven: a 64th of m at the most, and one result while m is below 128.  But it is no
    longer than half of n, however many points are pending.

    >>> [frame_of(n, n + 32) for n in (50, 51, 1000, 1007, 1008)]
    [(0, 50), (0, 51), (4, 62), (4, 62), (4, 63)]
    """
    length = max(0, min(m.bit_length() - 7, n.bit_length() - 2))
    return length, n >> length


class AsynchronousModelBasedSearch:
    """Picks the candidate with the lowest confidence bound, tells the model a lie for it, picks the next.

    seed: of the design and of every generation of candidates.  surrogate: learns the told trials.
    kappa: weight of the uncertainty.  initial: how many successes the model needs first; until then a Sobol
    design is followed.

    lie: what a pending point is taken for.  "believer" is the model's own mean; "min", "mean" and "max"
    are constants of the told targets; "naive" takes the best q of one model, with no lies at all.
    """

    def __init__(
        self,
        encoding: Encoding,
        seed: np.random.SeedSequence,
        surrogate: Surrogate,
        *,
        kappa: float = KAPPA,
        lie: Lie = "believer",
        initial: int = INITIAL,
    ) -> None:
        self._encoding = encoding
        design, untried, self._seed = seed.spawn(3)
        self._surrogate = surrogate
        self._kappa = kappa
        self._lie = lie
        self._initial = initial
        self._design = SobolSearch(encoding, design)
        self._untried = Untried(encoding, np.random.default_rng(untried))
        self._frame: tuple[int, int] | None = None
        self._ranking: Ranking | None = None
        self._told = 0
        """How many observations the surrogate knows."""
        self._best = np.inf
        self._constant = np.nan
        self._generation: Generation | None = None
        self._proposed: tuple[int, Rows] = 0, np.empty((0, encoding.d), dtype=np.float32)
        """What was proposed last, and the place of the first of it."""

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        if history.succeeded < self._initial:
            return self._design.propose(q, history)
        self._catch_up(q, history)
        rows = self._pick(q, history)
        self._proposed = history.m, rows
        if len(rows) < q:
            # All candidates were asked before: of what has no real number, nearly everything was.
            rows = np.concatenate([rows, self._last(q - len(rows), history, rows)])
        return rows

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame in which the search is when n results are known of m points that were asked."""
        return frame_of(n, m)

    def pass_over(self, q: int, history: History) -> Rows | None:
        """Take note of an ask without thinking: of the model's only which trees it renewed is left.

        Returns the answer of the design, which must be asked, since it goes on from where it was.
        """
        if history.succeeded < self._initial:
            return self._design.propose(q, history)
        self._turn_page(q, history)
        return None

    # What was told and asked since the last time.

    def _catch_up(self, q: int, history: History) -> None:
        turned = self._turn_page(q, history)
        place, rows = self._proposed
        # Starting points may stand there instead, or, in a replay, what the journal says.
        as_proposed = np.array_equal(history.rows[place : place + len(rows)], rows)
        if not as_proposed:
            self._surrogate.forget(place)
        if turned or not as_proposed or self._ranking is None:
            self._begin_frame(history)
        else:
            self._go_on(history, self._ranking)

    def _turn_page(self, q: int, history: History) -> bool:
        """Return whether a new frame begins."""
        frame = frame_of(history.n, history.m)
        if frame == self._frame:
            return False
        self._frame = frame
        self._surrogate.renew(history.n, q)
        return True

    def _begin_frame(self, history: History) -> None:
        self._ranking = Ranking(history.values)
        targets = self._ranking.scores(history.values)
        self._surrogate.fit(history.rows, history.told_places, targets)
        self._told = history.n
        self._generation = None
        if self._lie in _CONSTANT_LIES:
            self._constant = float(_CONSTANT_LIES[self._lie](targets))
        pending = history.pending_places
        if self._lie == "believer":
            self._surrogate.learn(history.rows, pending, self._surrogate.expect(pending))
        elif self._lie != "naive":
            self._surrogate.learn(history.rows, pending, np.full(len(pending), self._constant))

    def _go_on(self, history: History, ranking: Ranking) -> None:
        """Put results in the place of lies."""
        places, values = history.told_places[self._told :], history.values[self._told :]
        self._told = history.n
        if history.best < self._best:
            self._generation = None  # neighbours of the new best are wanted
        learn = self._surrogate.learn if self._generation is None else self._generation.learn
        learn(history.rows, places, ranking.scores(values))

    # What is asked now.

    def _pick(self, q: int, history: History) -> Rows:
        """Return up to q new rows; fewer only if all candidates, fresh ones too, were asked before."""
        rows: list[Rows] = []
        taken: set[bytes] = set()
        fresh = False
        while len(rows) < q:
            if self._generation is None or self._generation.worn_out:
                self._generation, fresh = self._new_generation(len(rows), history), True
            index = self._generation.pick(history.tried, taken)
            if index is None and fresh:
                break
            if index is None:
                self._generation = None
                continue
            fresh = False
            rows.append(self._generation.row(index))
            taken.add(key(rows[-1]))
            self._generation.take(index, history.m + len(rows) - 1, self._lie_for(index))
        return np.array(rows, dtype=np.float32).reshape(-1, self._encoding.d)

    def _lie_for(self, index: int) -> float:
        if self._lie == "believer" and self._generation is not None:
            return self._generation.mean(index)
        return self._constant

    def _new_generation(self, picked: int, history: History) -> Generation:
        candidates = self._candidates(history, self._rng(0, history.m + picked))
        self._best = history.best
        return Generation(candidates, self._surrogate.posterior(candidates), self._kappa)

    def _candidates(self, history: History, rng: np.random.Generator) -> Rows:
        half = CANDIDATES // 2
        best = _lowest(history.values, max(1, min(PARENTS, history.succeeded // 8)))
        parents = history.rows[history.told_places[best[np.arange(half) % len(best)]]]
        return np.concatenate(
            [self._encoding.mutate(parents, rng), self._encoding.sample(CANDIDATES - half, rng)]
        )

    def _last(self, q: int, history: History, picked: Rows) -> Rows:
        done = set(map(key, picked))
        sample = partial(self._encoding.sample, rng=self._rng(1, history.m + len(picked)))
        left = self._untried.draw(q + len(picked), history, sample)
        return left[[key(row) not in done for row in left]][:q]

    def _rng(self, purpose: int, m: int) -> np.random.Generator:
        """Return the generator for when m points were asked: it does not depend on what was drawn before."""
        key = (*self._seed.spawn_key, purpose, m)
        return np.random.default_rng(np.random.SeedSequence(self._seed.entropy, spawn_key=key))


def ambs(
    encoding: Encoding, seed: np.random.SeedSequence, *, surrogate: Kind = "forest", **options: Any
) -> AsynchronousModelBasedSearch:
    """Return the search with a forest, or with extremely randomised trees, for its surrogate."""
    own, below = seed.spawn(2)
    return AsynchronousModelBasedSearch(encoding, own, ForestSurrogate(below, surrogate), **options)


def _lowest(values: Vector, k: int) -> Places:
    """Return where the k lowest values are, the lowest first, of equal ones the first."""
    among = np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])
    return among[np.argsort(values[among], kind="stable")[:k]]
