"""Model-based search: a surrogate, an acquisition function, and something to keep points apart.

The loop of AMBS (P. Balaprakash, M. Salim, T. Uram, V. Vishwanath, S. Wild, DeepHyper: asynchronous
hyperparameter search for deep neural networks, HiPC 2018, algorithm 1), for any surrogate, targets,
acquisition and treatment of pending points.

Time goes by in *frames*.  A frame begins when enough is new (:func:`frame_of`): with every result at first,
later with every 64th to 128th part of all that was asked.  At its beginning all observations are scored anew,
the surrogate renews what is due, all that is pending gets a new lie, and new candidates are drawn.  Within a
frame results and lies are updates, scored among the values that the frame began with; so is what a trial is
told again, in place of its older result.  So a result costs the same however many there are; and since the
beginning of a frame depends on what was told, on what is pending and on counters, but on no thought before
it, a resumed search need go through no more than its last frame again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from deephpo.acquisition import Acquisition
from deephpo.search.candidates import draw_candidates
from deephpo.search.frames import frame_of
from deephpo.search.generation import Generation
from deephpo.search.history import History
from deephpo.search.pending import Pending
from deephpo.search.untried import Untried
from deephpo.seeds import rng_below
from deephpo.space.arrays import Rows, Vector, key
from deephpo.space.encoding import Encoding
from deephpo.surrogates.protocol import Surrogate
from deephpo.surrogates.targets import Targets

WORN_OUT = 1 / 8
"""The share of the candidates after which the best of them are used up."""
FRESH_SHARE = 8
"""Where every point wants fresh candidates, an ask for many draws them so many times at the most."""


class ModelBasedSearch:
    """Picks the candidate with the best acquisition, tells the surrogate a lie for it, picks the next.

    seed: of every generation of candidates.  surrogate: learns the told trials.  targets: makes the
    surrogate's targets of all told values.  acquisition: what a candidate scores; given the number of points
    asked so far, for its weight may change with it.  pending: what keeps points apart.  candidates: how
    many there are in a generation.

    It must not be asked before one trial has succeeded.
    """

    def __init__(
        self,
        encoding: Encoding,
        seed: np.random.SeedSequence,
        surrogate: Surrogate,
        *,
        targets: Callable[[Vector], Targets],
        acquisition: Callable[[int], Acquisition],
        pending: Pending,
        candidates: int,
    ) -> None:
        self._encoding = encoding
        untried, self._seed = seed.spawn(2)
        self.surrogate = surrogate
        self._make_targets = targets
        self._acquisition = acquisition
        self._pending = pending
        self._count = candidates
        self._untried = Untried(encoding, np.random.default_rng(untried))
        self._frame: tuple[int, int] | None = None
        self._targets: Targets | None = None
        self._told = 0
        """How many observations the surrogate knows."""
        self._revised = 0
        """And how many revisions of observations."""
        self._best = np.inf
        self._best_target = np.nan
        self._constant = np.nan
        self._generation: Generation | None = None
        self._weighed = acquisition(0)
        """How the present generation is scored."""
        self._settled = 0
        """How many points were really asked when it was asked last, those that are only supposed left out."""
        self._proposed: tuple[int, Rows] = 0, np.empty((0, encoding.d), dtype=np.float32)
        """What was proposed last, and the place of the first of it."""
        self.expected: list[float] = []
        """The targets that the surrogate expected of what was proposed last, where it was asked about it."""

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        self._catch_up(q, history)
        rows = self._pick(q, history)
        self._settled = history.m - history.supposed
        self._proposed = history.m, rows
        if len(rows) < q:
            # All candidates were asked before: of what has no real number, nearly everything was.
            sample = partial(self._encoding.sample, rng=rng_below(self._seed, 1, history.m + len(rows)))
            rows = self._untried.fill_up(rows, q, history, sample)
        return rows

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame in which the search is when n results are known of m points that were asked."""
        return frame_of(n, m)

    def pass_over(self, q: int, history: History) -> None:
        """Take note of an ask without thinking: of the model's only what it renewed is left."""
        self._turn_page(q, history)

    # What was told and asked since the last time.

    def _catch_up(self, q: int, history: History) -> None:
        turned = self._turn_page(q, history)
        place, rows = self._proposed
        # Starting points may stand there instead, or, in a replay, what the journal says.
        as_proposed = np.array_equal(history.rows[place : place + len(rows)], rows)
        if not as_proposed:
            self.surrogate.forget(self._settled)
        if turned or not as_proposed or self._targets is None:
            self._begin_frame(history)
        else:
            self._go_on(history, self._targets)
        if self._pending.fresh:
            self._generation = None

    def _turn_page(self, q: int, history: History) -> bool:
        """Return whether a new frame begins."""
        # All parts of an answer belong to one frame.
        frame = frame_of(history.n, history.m - history.supposed)
        if frame == self._frame:
            return False
        self._frame = frame
        self.surrogate.renew(history.moment(), q)
        return True

    def _begin_frame(self, history: History) -> None:
        self._targets = self._make_targets(history.values)
        y = self._targets.scores(history.values)
        self.surrogate.fit(history.rows, history.told_places, y)
        self._told, self._revised = history.n, len(history.revisions)
        self._best_target = y.min()
        self._generation = None
        places = history.pending_places
        if self._pending.constant is not None:
            self._constant = float(self._pending.constant(y))
            self.surrogate.learn(history.rows, places, np.full(len(places), self._constant))
        elif self._pending.believer:
            self.surrogate.learn(history.rows, places, self.surrogate.expect(places))
        elif self._pending.interim and history.interim:
            places = np.array([history.pending[trial_id] for trial_id in history.interim])
            values = np.fromiter(history.interim.values(), dtype=np.float64)
            self.surrogate.learn(history.rows, places, self._targets.scores(values))

    def _go_on(self, history: History, targets: Targets) -> None:
        """Put results in the place of lies or older results, and lies where others proposed meanwhile."""
        news = history.news(self._told, self._revised)
        places = history.told_places[news]
        self._told, self._revised = history.n, len(history.revisions)
        if history.best != self._best:
            self._generation = None  # neighbours of the new best are wanted
        y = targets.scores(history.values[news])
        if history.best > self._best:
            self._best_target = float(targets.scores(np.array([history.best]))[0])
        else:
            self._best_target = min(self._best_target, y.min(initial=np.inf))
        learn = self.surrogate.learn if self._generation is None else self._generation.learn
        learn(history.rows, places, y)
        seen = self._proposed[0] + len(self._proposed[1])
        others = np.setdiff1d(np.arange(seen, history.m), places)
        if len(others) and self._pending.believer:
            learn(history.rows, others, self.surrogate.posterior(history.rows[others]).belief()[0])
        elif len(others) and self._pending.constant is not None:
            learn(history.rows, others, np.full(len(others), self._constant))

    # What is asked now.

    def _pick(self, q: int, history: History) -> Rows:
        """Return up to q new rows; fewer only if all candidates, fresh ones too, were asked before."""
        rows: list[Rows] = []
        taken: set[bytes] = set()
        self.expected = []
        fresh = False
        while len(rows) < q:
            if self._generation is None or self._generation.picks >= self._most_picks(q):
                self._generation, fresh = self._new_generation(len(rows), history), True
            self._weigh(self._generation, history.m + len(rows))
            chance = rng_below(self._seed, 2, history.m + len(rows)) if self._pending.at_random else None
            index = self._generation.pick(history.tried, taken, chance)
            if index is None and fresh:
                break
            if index is None:
                self._generation = None
                continue
            fresh = False
            rows.append(self._generation.row(index))
            taken.add(key(rows[-1]))
            self.expected.append(self._generation.mean(index))
            self._generation.take(index, history.m + len(rows) - 1, self._lie_for(index))
        return np.array(rows, dtype=np.float32).reshape(-1, self._encoding.d)

    def _most_picks(self, q: int) -> float:
        return -(-q // FRESH_SHARE) if self._pending.fresh else WORN_OUT * self._count

    def _lie_for(self, index: int) -> float:
        if self._pending.believer and self._generation is not None:
            return self._generation.mean(index)
        return self._constant

    def _new_generation(self, picked: int, history: History) -> Generation:
        m = history.m + picked
        candidates = draw_candidates(self._encoding, self._count, history, rng_below(self._seed, 0, m))
        self._best = history.best
        self._weighed = self._acquisition(m)
        return Generation(candidates, self.surrogate.posterior(candidates), self._score)

    def _weigh(self, generation: Generation, m: int) -> None:
        """Let a generation score as it should when m points were asked."""
        acquisition = self._acquisition(m)
        if acquisition != self._weighed:
            self._weighed = acquisition
            generation.weigh(self._score)

    def _score(self, mean: Vector, std: Vector) -> Vector:
        return self._weighed(mean, std, self._best_target)
