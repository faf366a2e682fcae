"""From a text such as ``asha:eta=3,first=6 + diverged`` to a stopping rule: the table behind ``--stop``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from deephpo.errors import OptionError, unknown_name
from deephpo.search.options import Count, Number, Option, check_options
from deephpo.stopping.any_of import AnyOf
from deephpo.stopping.curve import Subject
from deephpo.stopping.metrics import Metrics
from deephpo.stopping.rule import StoppingRule


@dataclass(frozen=True)
class Rule:
    """A stopping rule that there is by name.

    path: "module:name" of what makes it from a ``Subject`` and the options.
    needs_last_step: it counts from the step with which a training is complete, ``Fidelity.high``.
    required: options that have no default and must be said.
    """

    path: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    needs_last_step: bool = False
    required: tuple[str, ...] = ()

    def create(self, subject: Subject, options: Mapping[str, Any]) -> StoppingRule:
        """Return the rule; raises OptionError if it must know the last step and nobody says it."""
        module, name = self.path.split(":")
        rule: StoppingRule = getattr(import_module(module), name)(subject, **options)
        return rule


AUTO, NO_RULE = "auto", "none"
DEFAULT_RULE = "pace + diverged"
"""What "auto" stands for where the problem says how long a training is; docs/early-stopping.md has the
evidence."""

_ETA = Number(2.0, "one in eta goes on at a rung", least=1.1, most=1000.0)
_ALSO = Metrics("", "further metrics for a Pareto front, such as 'latency max:throughput'")
_FIRST = Count(0, "step of the first rung; 0: the last step // eta ** 3", least=0)

RULES: Mapping[str, Rule] = {
    "pace": Rule(
        "deephpo.stopping.pace:Pace",
        "stops who is behind, does not catch up, and would not come to the best: the default",
        {
            "caution": Number(
                0.5, "at a share x of the steps the worst x ** caution are behind", least=0.1, most=2.0
            ),
            "also": _ALSO,
        },
        needs_last_step=True,
    ),
    "asha": Rule(
        "deephpo.stopping.asha:SuccessiveHalving",
        "successive halving: at every rung only the best share goes on",
        {
            "eta": _ETA,
            "first": _FIRST,
            "also": _ALSO,
        },
    ),
    "compound": Rule(
        "deephpo.stopping.compound:Compound",
        "DEEP-BO's: drops the worst half way, trains only the best to the end",
        {"beta": Number(0.2, "the share that is worst, and that is best", least=0.01, most=0.5)},
        needs_last_step=True,
    ),
    "median": Rule(
        "deephpo.stopping.median:Median",
        "stops who is worse than the median after a third of the steps",
        {"at": Number(1 / 3, "the share of the last step", least=0.01, most=1.0)},
        needs_last_step=True,
    ),
    "diverged": Rule(
        "deephpo.stopping.diverged:Diverged",
        "stops what is NaN, or stuck at chance",
        {
            "by": Number(
                0.25, "share of the last step by which a trial has to come from chance", least=0.01, most=0.5
            )
        },
    ),
    "hyperband": Rule(
        "deephpo.stopping.hyperband:Hyperband",
        "brackets of successive halving, each from a later step on",
        {"eta": replace(_ETA, default=3.0), "first": _FIRST},
        needs_last_step=True,
    ),
    "curve": Rule(
        "deephpo.stopping.extrapolation:Extrapolation",
        "extrapolates the curve, and stops who has little chance to beat the best",
        {"chance": Number(0.05, "the chance that is too little", least=0.0001, most=0.5)},
        needs_last_step=True,
    ),
    "plateau": Rule(
        "deephpo.stopping.plateau:Plateau",
        "stops who has not got better for a while",
        {
            "patience": Count(10, "so many steps"),
            "least": Number(0.0, "an improvement is more than this"),
        },
    ),
    "threshold": Rule(
        "deephpo.stopping.threshold:Threshold",
        "stops who is worse than a value at a step",
        {
            "at": Count(10, "the step at which trials are judged", least=0),
            "value": Number(0.5, "the value that they must have reached", least=-math.inf),
        },
        required=("at", "value"),
    ),
    "interval": Rule(
        "deephpo.stopping.interval:Interval",
        "stops at the first value between two others, such as accuracies at chance",
        {
            "low": Number(0.0, "values above this", least=-math.inf),
            "high": Number(0.2, "and below this stop a trial", least=-math.inf),
        },
    ),
    "gradient": Rule(
        "deephpo.stopping.gradient:Gradient",
        "DEEP-BO's: stops who would have to rise more steeply than it did to be the best",
        {"after": Count(4, "reports before a trial is judged", least=2)},
        needs_last_step=True,
    ),
    "knock": Rule(
        "deephpo.stopping.knock:Knock",
        "DEEP-BO's: stops who is rarely ahead in the first third, or falls below all others",
        {"margin": Number(0.05, "how far below, in units of the objective")},
        needs_last_step=True,
    ),
}
"""All stopping rules by their names."""

_JOIN = re.compile(r"\+(?=\s*[a-z])")
"""A plus sign between two rules, none as in 1e+3."""


def create_rule(text: str, subject: Subject) -> StoppingRule:
    """Return the rule that a text stands for.

    text: names of rules, each with its options, joined with +, such as "median" or "asha:eta=3,first=6 +
        diverged"; of several rules each can stop a trial.
    subject: what the trials are judged by.

    Raises OptionError for an unknown name or option, a value that it does not take, a required option that is
    missing, or a rule that must know the last step when the problem does not say it.
    """
    parts = [_parse(part) for part in _JOIN.split(text)]
    for name, said in parts:
        _check(name, said)
    rules = [RULES[name].create(subject, said) for name, said in parts]
    return rules[0] if len(rules) == 1 else AnyOf(rules)


def _parse(part: str) -> tuple[str, dict[str, Any]]:
    """Return the name of one rule and the values that its options are said to have."""
    name, colon, rest = (word.strip() for word in part.partition(":"))
    if name not in RULES:
        raise OptionError(unknown_name("stopping rule", name, RULES))
    said: dict[str, Any] = {}
    for word in rest.split(",") if colon else ():
        option, equals, value = (piece.strip() for piece in word.partition("="))
        if not equals:
            raise OptionError(
                f"The options of a stopping rule are written {name}:option=value, not {word!r}."
            )
        if option in said:
            raise OptionError(
                f"The stopping rule {name!r} has {option} twice, as {said[option]} and as {value}."
            )
        said[option] = _read(name, option, value)
    return name, said


def _read(name: str, option: str, text: str) -> Any:
    declared = RULES[name].options.get(option)
    if declared is None:
        return text
    try:
        return declared.read(text)
    except ValueError:
        return text  # which the option does not take, and says so


def _check(name: str, said: Mapping[str, Any]) -> None:
    check_options("stopping rule", name, {name: rule.options for name, rule in RULES.items()}, said)
    for option in RULES[name].required:
        if option not in said:
            raise OptionError(
                f"The stopping rule {name!r} must be told {option}, {RULES[name].options[option].help}: "
                f"{name}:{','.join(f'{required}=...' for required in RULES[name].required)}."
            )
