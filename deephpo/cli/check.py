"""``deephpo check``: what can be wrong with a problem before ``run()`` is called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deephpo.report.terminal import beginning, columns_of
from deephpo.space.conditions import Allowed, Between, Conjunction
from deephpo.space.parameters import Categorical, Parameter

if TYPE_CHECKING:
    from deephpo.problem import Declaration
    from deephpo.space.space import Space

DESCRIPTION = """Find what can be wrong before run() is called: load PROBLEM in a child process, as a search
would, check its space, conditions, starting points and the signature of run(), and show what a search would
see. Nothing is trained or written."""

_WIDTH = 60
"""Choices that take more columns of a terminal than this are not all shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("problem", metavar="PROBLEM", help="PROBLEM.py or package.module, perhaps with :name")


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found; returns the exit code."""
    import numpy as np

    from deephpo.cli.judging import rule_by_default
    from deephpo.report.summary import configuration_line
    from deephpo.worker.description import describe

    declaration = describe(arguments.problem)
    ranks = _ranks(arguments.problem, declaration)
    space, encoding = declaration.space, declaration.space.encoding()
    samples = encoding.decode(encoding.sample(3, np.random.default_rng(0)))
    print(f"{declaration.name}: {declaration.direction} {declaration.objective}")
    if declaration.fidelity is not None:
        print(f"reports against {declaration.fidelity.name}, up to {declaration.fidelity.high}")
        print(f"hopeless trials are stopped by {rule_by_default(declaration)}, unless --stop says otherwise")
    if ranks != "1":
        print(f"trains each trial on {ranks} ranks")
    print()
    print("\n".join(_parameters(space)))
    _list("never tried together", [_conjunction(conjunction) for conjunction in space.forbidden])
    _list("tried first", _starting_points(declaration))
    _list("three random configurations", [configuration_line(config) for config in samples])
    print("\nThe problem can be searched.")
    return 0


def _ranks(target: str, declaration: Declaration) -> str:
    """Return how many ranks a trial has; raises ProblemError if the problem says nothing sensible."""
    from deephpo.worker.sizing import ask_for_sizes

    if declaration.ranks is not None:
        return str(declaration.ranks)
    sizing = ask_for_sizes(target, declaration)
    sizing.close()
    least, most = sizing.smallest, sizing.largest
    return str(most) if least == most else f"{least} to {most}"


def _list(title: str, lines: Sequence[str]) -> None:
    if lines:
        print(f"\n{title}:")
        print("\n".join(f"  {line}" for line in lines))


def _parameters(space: Space) -> list[str]:
    from deephpo.report.summary import figure, table

    rows = [
        (
            p.name,
            type(p).__name__,
            _values(p),
            figure(space.defaults[p.name]) if p.name in space.defaults else "-",
            " or ".join(map(_conjunction, p.alternatives)),
        )
        for p in space.parameters
    ]
    return table(("parameter", "kind", "values", "default", "active when"), rows, [False] * 5)


def _starting_points(declaration: Declaration) -> list[str]:
    """Return the starting points with their names: the default configuration, then those of the user."""
    from deephpo.report.summary import configuration_line

    # The problem puts the default configuration, if there is one, before the user's.
    default = declaration.space.default_config()
    names = [] if default is None else ["the defaults"]
    names += [f"start[{place}]" for place in range(len(declaration.start))]
    return [f"{name}: {configuration_line(c)}" for name, c in zip(names, declaration.start, strict=False)]


def _conjunction(conjunction: Conjunction) -> str:
    return " and ".join(f"{clause.parameter} {_allowed(clause.allowed)}" for clause in conjunction)


def _values(parameter: Parameter) -> str:
    if isinstance(parameter, Categorical):
        text = ", ".join(str(choice) for choice in parameter.choices)
        if columns_of(text) <= _WIDTH:
            return text
        return f"{beginning(text, _WIDTH - 3)}... ({len(parameter.choices)} choices)"
    text = f"{parameter.low:g} to {parameter.high:g}"
    text += f", step {parameter.step:g}" if parameter.step is not None else ""
    return text + (", log" if parameter.log else "")


def _allowed(allowed: Allowed) -> str:
    if isinstance(allowed, Between):
        return f"from {allowed.low:g} to {allowed.high:g}"
    return "in " + ", ".join(str(value) for value in allowed) if len(allowed) > 1 else f"= {allowed[0]}"
