"""From names to searches: the table behind ``create_search`` and ``--search``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from deephpo.errors import OptionError, unknown_name
from deephpo.problem import DIRECTIONS, Direction
from deephpo.search.arm_sets import Arms
from deephpo.search.options import Choice, Count, Number, Option, check_options
from deephpo.search.parts import KAPPA, LIES, PARTS, TREES
from deephpo.space.space import as_space
from deephpo.space.values import is_whole, plain
from deephpo.trial import Config

if TYPE_CHECKING:  # numpy comes with it, and a worker rank, which reads the options too, needs none
    from deephpo.search.search import Search, Strategy

RULES = (
    *("sequence", "random", "hedge", "hedge-le", "bo-hedge", "bo-hedge-le"),
    *("eg", "eg-le", "gt", "gt-le", "sko"),
)


@dataclass(frozen=True)
class Method:
    """A search that there is by name.

    path: "module:name" of what makes its strategy from an encoding, a ``SeedSequence`` and the options.
    """

    path: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """Return the values of its options unless others are said."""
        return {name: option.default for name, option in self.options.items()}

    def check(self, name: str, options: Mapping[str, Any]) -> None:
        """Raise OptionError for an option that it does not have, or values that it does not take."""
        check_options("search", name, {name: method.options for name, method in METHODS.items()}, options)

    def strategy(self, encoding: Any, seed: Any, options: Mapping[str, Any]) -> Strategy:
        """Return the strategy."""
        module, name = self.path.split(":")
        strategy: Strategy = getattr(import_module(module), name)(encoding, seed, **options)
        return strategy


_INITIAL = Count(5, "successes before the model is asked")

METHODS = {
    "auto": Method(
        "deephpo.search.auto:auto",
        "a Gaussian process and trees for few results, trees for many",
        {"initial": _INITIAL},
    ),
    "ambs": Method(
        "deephpo.search.ambs:ambs",
        "DeepHyper's: a forest, a lower confidence bound, lies",
        {
            "surrogate": Choice("forest", "the model", TREES),
            "kappa": KAPPA,
            "lie": Choice("believer", "what pending trials count as", LIES),
            "initial": _INITIAL,
        },
    ),
    "single": Method(
        "deephpo.search.single:single",
        "one surrogate, one acquisition function, as you choose",
        {**PARTS, "initial": _INITIAL},
    ),
    "diversified": Method(
        "deephpo.search.diversified:diversified",
        "several surrogates and acquisitions that take turns",
        {
            "arms": Arms(
                "six", "who takes turns: six, seven, words such as gp-hle-ei,forest-ei, or a YAML file"
            ),
            "rule": Choice("sequence", "whose turn it is", RULES),
            "initial": _INITIAL,
        },
    ),
    "tpe": Method(
        "deephpo.search.tpe:tpe",
        "the densities of good and of bad configurations",
        {
            "density": Choice(
                "multivariate", "one over all parameters, or one for each", ("multivariate", "univariate")
            ),
            "initial": _INITIAL,
        },
    ),
    "random": Method("deephpo.search.random:RandomSearch", "independent draws"),
    "sobol": Method("deephpo.search.designs:SobolSearch", "scrambled Sobol points"),
    "lhs": Method("deephpo.search.designs:LatinHypercubeSearch", "Latin hypercubes"),
    "grid": Method("deephpo.search.grid:GridSearch", "every combination of ten values of each parameter"),
    "random-walk": Method("deephpo.search.random_walk:RandomWalk", "steps around the best one"),
    "evolution": Method(
        "deephpo.search.evolution:RegularizedEvolution",
        "mutations of the best among the last results",
        {
            "population": Count(50, "so many results are alive", not_below="tournament"),
            "tournament": Count(20, "so many of them compete to be a parent"),
        },
    ),
    "cma-es": Method(
        "deephpo.search.cma_es:CovarianceMatrixAdaptation",
        "CMA-ES: a distribution that adapts (needs cmaes)",
    ),
    "staged": Method(
        "deephpo.search.staged:StagedSearch",
        "random draws from a box that shrinks around the best one",
        {
            "stage": Count(50, "so many results, then the box shrinks"),
            "shrink": Number(0.5, "a box's width as a share of the one before", least=0.1, most=1.0),
        },
    ),
}
"""All searches by their names; the first one is the default."""

SEARCHES = tuple(METHODS)


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

    name: one of SEARCHES, such as "ambs" or "random".
    space: a Space, a list of parameters, or a ``ConfigurationSpace`` of ConfigSpace.
    start: configurations that come before all others; what they leave out is at its default.
    options: those of the search, as METHODS has them, such as ``kappa=1.96`` for "ambs".

    Raises OptionError for an unknown name or option, or a value that it does not take, and SpaceError for
    a space that cannot be.
    """
    method = method_of(name)
    if direction not in DIRECTIONS:
        raise OptionError(f"direction must be 'minimize' or 'maximize', not {direction!r}.")
    seed = plain(seed)
    if not is_whole(seed, 0):
        raise OptionError(f"seed must be a whole number from 0 on, not {seed!r}.")
    options = {option: plain(value) for option, value in options.items()}
    method.check(name, options)
    import numpy as np

    from deephpo.search.search import Search

    space = as_space(space, "create_search")
    encoding = space.encoding()
    # Key 0 is the strategy's; trial k has (1, k), so neither moves when the other draws more.
    strategy = method.strategy(encoding, np.random.SeedSequence(seed, spawn_key=(0,)), options)
    points = [space.complete(config) for config in start]
    return Search(encoding, strategy, direction=direction, seed=seed, start=points)


def method_of(name: str) -> Method:
    """Return a search's entry in the table; raises OptionError for an unknown name."""
    if name not in METHODS:
        raise OptionError(unknown_name("search", name, SEARCHES))
    return METHODS[name]
