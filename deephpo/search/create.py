"""From names to searches: the tables behind ``create_search`` and ``--search``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deephpo.errors import OptionError, unknown_name
from deephpo.problem import DIRECTIONS, Direction
from deephpo.space.space import as_space
from deephpo.trial import Config

if TYPE_CHECKING:  # numpy comes with it, and a worker rank, which reads the options too, needs none
    from deephpo.search.search import Search, Strategy

SEARCHES = ("ambs", "random", "sobol", "lhs", "grid")
SURROGATES = ("forest", "extra-trees")
LIES = ("believer", "min", "mean", "max", "naive")

AMBS_OPTIONS = ("surrogate", "kappa", "lie", "initial")
"""The options that only the model-based search takes."""


def create_search(
    name: str,
    space: Any,
    *,
    direction: Direction = "minimize",
    seed: int = 0,
    start: Sequence[Config] = (),
    **options: Any,
) -> Search:
    """Return a search by its name.

    name: "ambs", "random", "sobol", "lhs" or "grid".
    space: a Space, a list of parameters, or a ``ConfigurationSpace`` of ConfigSpace.
    start: configurations that come before all others; what they leave out is at its default.
    options, for "ambs": surrogate ("forest", "extra-trees"), kappa (1.96), lie ("believer", "min",
    "mean", "max", "naive"), initial (how many successes the model needs before it is asked, 10).

    Raises OptionError for an unknown name or option, or a value that it does not take, and SpaceError for
    a space that cannot be.
    """
    if name not in SEARCHES:
        raise OptionError(unknown_name("search", name, SEARCHES))
    if direction not in DIRECTIONS:
        raise OptionError(f"direction must be 'minimize' or 'maximize', not {direction!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(f"seed must be a whole number from 0 on, not {seed!r}.")
    check_options(name, options)
    from deephpo.search.search import Search

    space = as_space(space, "create_search")
    encoding = space.encoding()
    strategy = _strategy(name, encoding, seed, options)
    points = [space.complete(config) for config in start]
    return Search(encoding, strategy, direction=direction, seed=seed, start=points)


def check_options(name: str, options: dict[str, Any]) -> None:
    """Raise OptionError for an option that the search does not have, or a value that it does not take."""
    known = AMBS_OPTIONS if name == "ambs" else ()
    for option in options:
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options of its own"
            raise OptionError(f"The search {name!r} has no option {option!r}; it {takes}.")
    _check_choice("surrogate", options.get("surrogate", SURROGATES[0]), SURROGATES)
    _check_choice("lie", options.get("lie", LIES[0]), LIES)
    kappa = options.get("kappa", 0.0)
    if isinstance(kappa, bool) or not isinstance(kappa, int | float) or not 0 <= kappa < float("inf"):
        raise OptionError(f"kappa must be a number from 0 on, such as 1.96, not {kappa!r}.")
    initial = options.get("initial", 1)
    if isinstance(initial, bool) or not isinstance(initial, int) or initial < 1:
        raise OptionError(f"initial must be a whole number from 1 on, not {initial!r}.")


def _check_choice(option: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise OptionError(unknown_name(option, value, known))


def _strategy(name: str, encoding: Any, seed: int, options: dict[str, Any]) -> Strategy:
    import numpy as np

    # Key 0 is the strategy's; trial k has (1, k), so neither moves when the other draws more.
    root = np.random.SeedSequence(seed, spawn_key=(0,))
    if name == "ambs":
        from deephpo.search.ambs import AsynchronousModelBasedSearch
        from deephpo.surrogates.forest import ForestSurrogate

        settings = dict(options)
        own, below = root.spawn(2)
        surrogate = ForestSurrogate(below, settings.pop("surrogate", "forest"))
        return AsynchronousModelBasedSearch(encoding, own, surrogate, **settings)
    rng = np.random.default_rng(root)
    if name == "random":
        from deephpo.search.random import RandomSearch

        return RandomSearch(encoding, rng)
    if name == "grid":
        from deephpo.search.grid import GridSearch

        return GridSearch(encoding)
    from deephpo.search.designs import LatinHypercubeSearch, SobolSearch

    return SobolSearch(encoding, rng) if name == "sobol" else LatinHypercubeSearch(encoding, rng)
