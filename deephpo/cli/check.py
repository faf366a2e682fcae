"""``deephpo check``: everything about a problem that can be refused, without running it."""

from __future__ import annotations

import argparse

from deephpo.space.conditions import Allowed, Between
from deephpo.space.parameters import Categorical, Parameter

DESCRIPTION = """Load PROBLEM in a child process, as a search would, and check its space, conditions, starting
points and the signature of run(); then show what a search would see. Nothing is trained or written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("problem", metavar="PROBLEM", help="PROBLEM.py or package.module, perhaps with :name")


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found; returns the exit code."""
    import numpy as np

    from deephpo.report.summary import configuration_line, table
    from deephpo.worker.description import describe

    declaration = describe(arguments.problem)
    encoding = declaration.space.encoding()
    print(f"{declaration.name}: {declaration.direction} {declaration.objective}")
    if declaration.fidelity is not None:
        print(f"reports against {declaration.fidelity.name}, up to {declaration.fidelity.high}")
    rows = [_describe(p) for p in declaration.space.parameters]
    print()
    print("\n".join(table(("parameter", "kind", "values", "active when"), rows, [False] * 4)))
    if declaration.space.forbidden:
        print(f"\n{len(declaration.space.forbidden)} forbidden combinations")
    for place, config in enumerate(declaration.start):
        print(f"\nstarting point {place}: {configuration_line(config)}")
    print("\nthree random configurations:")
    for config in encoding.decode(encoding.sample(3, np.random.default_rng(0))):
        print(f"  {configuration_line(config)}")
    print("\nThe problem can be searched.")
    return 0


def _describe(parameter: Parameter) -> tuple[str, str, str, str]:
    when = " or ".join(
        " and ".join(f"{clause.parameter} {_allowed(clause.allowed)}" for clause in conjunction)
        for conjunction in parameter.alternatives
    )
    return parameter.name, type(parameter).__name__, _values(parameter), when


def _values(parameter: Parameter) -> str:
    if isinstance(parameter, Categorical):
        return ", ".join(str(choice) for choice in parameter.choices)
    text = f"{parameter.low:g} to {parameter.high:g}"
    text += f", step {parameter.step:g}" if parameter.step is not None else ""
    return text + (", log" if parameter.log else "")


def _allowed(allowed: Allowed) -> str:
    if isinstance(allowed, Between):
        return f"from {allowed.low:g} to {allowed.high:g}"
    return "in " + ", ".join(str(value) for value in allowed) if len(allowed) > 1 else f"= {allowed[0]}"
