"""The optimizers of ``quality`` by their words: deephpo's searches with options, and the peers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Protocol

import yaml
from quality_peers import PEERS, PeerProcess

from deephpo import Float, Space, create_search
from deephpo.trial import Config, Trial


class Optimizer(Protocol):
    """What asks for one point at a time, and is told results in any order."""

    @property
    def cpu_s(self) -> float:
        """The CPU seconds that it took so far."""

    @property
    def version(self) -> str:
        """The package that it comes from, and which version of it."""

    def ask(self) -> tuple[int, Config]:
        """Return the number and the configuration of a new point."""

    def tell(self, point: int, loss: float) -> None:
        """Take the loss of a point."""


class OwnSearch:
    """One of deephpo's searches, by its name and its options."""

    version = f"deephpo {version('deephpo')}"

    def __init__(self, name: str, options: dict[str, Any], space: Space, seed: int) -> None:
        create_search(name, space, seed=seed, **options)  # imports, which are not counted for peers either
        began = time.process_time()
        self._search = create_search(name, space, seed=seed, **options)
        self._pending: dict[int, Trial] = {}
        self.cpu_s = time.process_time() - began

    def ask(self) -> tuple[int, Config]:
        """Return the number and the configuration of a new trial."""
        began = time.process_time()
        [trial] = self._search.ask(1)
        self.cpu_s += time.process_time() - began
        self._pending[trial.id] = trial
        return trial.id, trial.config

    def tell(self, point: int, loss: float) -> None:
        """Take the loss of a trial."""
        trial = self._pending.pop(point)
        began = time.process_time()
        self._search.tell(trial, loss)
        self.cpu_s += time.process_time() - began


@contextmanager
def created(word: str, space: Space, seed: int, workers: int, results: int) -> Iterator[Optimizer]:
    """Yield the optimizer of a word, about which it knows how many workers and results there will be."""
    if word in PEERS:
        with PeerProcess(PEERS[word], space.to_dict(), seed, workers, results) as peer:
            yield peer
    else:
        name, options = parsed(word)
        yield OwnSearch(name, options, space, seed)


def parsed(word: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options in a word such as "ambs:surrogate=extra-trees,kappa=1".

    Values are written as in YAML; a comma parts options only where another name= follows.
    Raises ValueError for an option without a value.
    """
    name, _, tail = word.partition(":")
    options = {}
    for text in filter(None, re.split(r",(?=[\w-]+=)", tail)):
        option, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"An option is written as name=value, not {text!r} as in {word!r}.")
        options[option] = yaml.safe_load(value)
    return name, options


def check(word: str) -> None:
    """Raise OptionError or ValueError for a word that is no optimizer."""
    if word not in PEERS:
        name, options = parsed(word)
        create_search(name, [Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)], **options)
