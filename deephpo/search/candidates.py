"""Candidates: the configurations among which a model-based search picks the next one."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.space.arrays import Rows, Vector
from deephpo.space.encoding import Encoding
from deephpo.surrogates.protocol import Places

PARENTS = 20
"""Half of the candidates are neighbours of the best eighth of the observations, of at most so many."""


def draw_candidates(encoding: Encoding, count: int, history: History, rng: np.random.Generator) -> Rows:
    """Return candidates, half of them neighbours of the best, half of them random; shape (count, d).

    Neighbours are a step of one of three scales away, often of one parameter alone, and steps are cut off at
    the bounds, which so become candidates themselves.
    """
    half = count // 2
    parents = best_rows(history, max(1, min(PARENTS, history.succeeded // 8)))
    near = encoding.mutate(parents[np.arange(half) % len(parents)], rng)
    return np.concatenate([near, encoding.sample(count - half, rng)])


def best_rows(history: History, most: int) -> Rows:
    """Return the best configurations that were told, the best one first; shape (most, d)."""
    return history.rows[history.told_places[_lowest(history.values, most)]]


def _lowest(values: Vector, k: int) -> Places:
    """Return where the k lowest values are, the lowest first, of equal ones the first."""
    among = np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])
    return among[np.argsort(values[among], kind="stable")[:k]]
