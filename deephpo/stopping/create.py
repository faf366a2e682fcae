"""From a text such as ``asha:eta=3,first=6 + diverged`` to a stopping rule: the table behind ``--stop``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from deephpo.errors import OptionError, unknown_name
from deephpo.search.create import SEARCHES
from deephpo.search.options import Count, Number, Option, check_options
from deephpo.stopping.any_of import AnyOf
from deephpo.stopping.curve import Subject
from deephpo.stopping.interval import HIGH, LOW
from deephpo.stopping.metrics import Metrics, further_metrics
from deephpo.stopping.rule import StoppingRule


@dataclass(frozen=True)
class Rule:
    """A stopping rule that there is by name.

    path: "module:name" of what makes it from a ``Subject`` and the options.
    required: options that have no default and must be said.
    begins: options that say when it begins to judge.
    """

    path: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()

    def create(self, subject: Subject, options: Mapping[str, Any]) -> StoppingRule:
        """Return the rule; raises OptionError if it must know the last step and nobody says it."""
        module, name = self.path.split(":")
        rule: StoppingRule = getattr(import_module(module), name)(subject, **options)
        return rule


AUTO, NO_RULE = "auto", "none"
_OFF = ("none", "off", "no")
"""What people write for ``NO_RULE``."""
DEFAULT_RULE = "pace + diverged"
"""What "auto" stands for where the problem says how long a training is; docs/early-stopping.md has the
evidence."""

_ETA = Number(2.0, "one in eta goes on at a rung", least=1.1, most=1000.0)
_ALSO = Metrics("", "further metrics for a Pareto front, such as 'latency max:throughput'")
_FIRST = Count(0, "step of the first rung; 0: the last step // eta ** 3", least=0)

RULES: Mapping[str, Rule] = {
    "pace": Rule(
        "deephpo.stopping.pace:Pace",
        "who is behind, and whose pace would not bring it to the best",
        {
            "caution": Number(
                0.0,
                "at a share x of the steps the worst x ** caution are behind; 0: it grows from 0.5 to 2 "
                "with 400 trials",
                least=0.1,
                most=2.0,
                or_zero=True,
            ),
            "also": _ALSO,
        },
    ),
    "asha": Rule(
        "deephpo.stopping.asha:SuccessiveHalving",
        "who is not among the best 1 / eta at a rung",
        {
            "eta": _ETA,
            "first": _FIRST,
            "also": _ALSO,
        },
        begins=("first",),
    ),
    "compound": Rule(
        "deephpo.stopping.compound:Compound",
        "DEEP-BO's: the worst half way; near the end all but the best",
        {"beta": Number(0.2, "the share that is worst, and that is best", least=0.01, most=0.5)},
    ),
    "median": Rule(
        "deephpo.stopping.median:Median",
        "who is worse than the median after a third of the steps",
        {"at": Number(1 / 3, "the share of the last step", least=0.01, most=1.0)},
        begins=("at",),
    ),
    "diverged": Rule(
        "deephpo.stopping.diverged:Diverged",
        "who reports NaN, or is stuck at chance",
        {
            "by": Number(
                0.25, "share of the last step by which a trial has to come from chance", least=0.01, most=0.5
            )
        },
    ),
    "hyperband": Rule(
        "deephpo.stopping.hyperband:Hyperband",
        "the same as asha, in brackets that begin later and later",
        {"eta": replace(_ETA, default=3.0), "first": _FIRST},
        begins=("first", "eta"),
    ),
    "curve": Rule(
        "deephpo.stopping.extrapolation:Extrapolation",
        "who has little chance to end as the best, by its curve",
        {"chance": Number(0.05, "the chance that is too little", least=0.0001, most=0.5)},
    ),
    "plateau": Rule(
        "deephpo.stopping.plateau:Plateau",
        "who has not got better for a while",
        {
            "patience": Count(10, "so many steps"),
            "least": Number(0.0, "an improvement is more than this"),
        },
        begins=("patience",),
    ),
    "threshold": Rule(
        "deephpo.stopping.threshold:Threshold",
        "who is worse than a value at a step",
        {
            "at": Count(10, "the step at which trials are judged", least=0),
            "value": Number(0.5, "the value that they must have reached", least=-math.inf),
        },
        required=("at", "value"),
        begins=("at",),
    ),
    "interval": Rule(
        "deephpo.stopping.interval:Interval",
        "who reports a value between two others, such as at chance",
        {
            "low": Number(LOW, "values above this", least=-math.inf),
            "high": Number(HIGH, "and below this stop a trial", least=-math.inf),
        },
    ),
    "gradient": Rule(
        "deephpo.stopping.gradient:Gradient",
        "DEEP-BO's: who would have to rise more steeply than it did",
        {"after": Count(4, "reports before a trial is judged", least=2)},
        begins=("after",),
    ),
    "knock": Rule(
        "deephpo.stopping.knock:Knock",
        "DEEP-BO's: who is rarely ahead early, or falls below all",
        {"margin": Number(0.05, "how far below, in units of the objective")},
    ),
}
"""All stopping rules by their names."""

_JOIN = re.compile(r"\+(?=\s*[A-Za-z])")
"""A plus sign between two rules, none as in 1e+3."""
_STRAY = re.compile(r"^\s*\+|\+\s*\+|\+\s*$")
"""A plus sign beside which a rule is missing."""
_NO_COLON = re.compile(r"(\w+)[\s,]+(\w+\s*=.*)")
"""A rule whose options follow without the colon."""


def create_rule(text: str, subject: Subject) -> StoppingRule:
    """Return the rule that a text stands for.

    text: names of rules, each with its options, joined with +, such as "median" or "asha:eta=3,first=6 +
        diverged"; of several rules each can stop a trial.
    subject: what the trials are judged by.

    Raises OptionError for an unknown name or option, the same rule twice, a value that an option does
    not take, a required option that is missing, the objective as a further metric, a rule that must know the
    last step when the problem does not say it, or one that can stop no trial before that step.
    """
    parts = _parts(text)
    for name, said in parts:
        if any(metric.metric == subject.metric for metric in _also(name, said)):
            raise OptionError(
                f"The stopping rule {name!r}: also is for metrics beside the objective, and "
                f"{subject.metric!r} is the objective: name others, or leave it out."
            )
    rules = [RULES[name].create(subject, said) for name, said in parts]
    for (name, _), rule in zip(parts, rules, strict=True):
        if _is_idle(rule, subject):
            raise OptionError(_idle(name, rule, subject))
    return rules[0] if len(rules) == 1 else AnyOf(rules)


def default_rule(subject: Subject) -> str:
    """Return what "auto" stands for in trainings that have a last step: what of the default can act there."""
    rules = {name: RULES[name].create(subject, {}) for name in DEFAULT_RULE.split(" + ")}
    return " + ".join(name for name, rule in rules.items() if not _is_idle(rule, subject))


def further_metrics_of(text: str) -> tuple[Subject, ...]:
    """Return the metrics beside the objective by which a rule judges, each once, as it is said first.

    text: as for ``create_rule``, and raises as that does.

    >>> [metric.metric for metric in further_metrics_of("pace:also=latency max:throughput + diverged")]
    ['latency', 'throughput']
    """
    metrics: dict[str, Subject] = {}
    for name, said in _parts(text):
        for metric in _also(name, said):
            metrics.setdefault(metric.metric, metric)
    return tuple(metrics.values())


def _also(name: str, said: Mapping[str, Any]) -> list[Subject]:
    """Return the further metrics among the options that a rule is said to have."""
    options = RULES[name].options
    texts = [value for option, value in said.items() if isinstance(options[option], Metrics)]
    return [metric for text in texts for metric in further_metrics(text)]


def _parts(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the rules of a text by their names, each with the options that it is said to have."""
    if _STRAY.search(text):
        raise OptionError(
            f"A + must be between two stopping rules, as in 'pace + diverged', not as in {text!r}."
        )
    words = _JOIN.split(text)
    if len(words) > 1:
        _require_rules(words, text)
    parts = [_parse(word) for word in words]
    for name, said in parts:
        # With other options, such as a threshold at two steps, it is another rule.
        if parts.count((name, said)) > 1:
            raise OptionError(f"The stopping rule {name!r} is there twice in {text!r}: name it once.")
        _check(name, said)
    return parts


def _require_rules(words: Sequence[str], text: str) -> None:
    """Raise OptionError for a word among joined ones that stands for a choice of rules, or for none."""
    for word in map(str.strip, words):
        if word.lower() in (AUTO, *_OFF):
            raise OptionError(
                f"{word!r} stands alone and cannot be joined with a stopping rule, as in {text!r}: leave out "
                "the one or the other."
            )


def _is_idle(rule: StoppingRule, subject: Subject) -> bool:
    """Return whether a rule can stop no trial: with its last step a training is complete."""
    return subject.last_step is not None and rule.first_step >= subject.last_step


def _idle(name: str, rule: StoppingRule, subject: Subject) -> str:
    """Return the sentence for a rule that can stop no trial."""
    unit, last, options = subject.unit, subject.last_step, RULES[name].begins
    when = f" before {unit} {rule.first_step}" if rule.first_step < math.inf else ""
    may_begin_sooner = options and last != 1
    cure = (
        f"say a smaller {' or '.join(options)}, or leave the rule out" if may_begin_sooner else "leave it out"
    )
    return (
        f"The stopping rule {name!r} can stop no trial{when}, and a training is complete with {unit} {last}: "
        f"{cure}."
    )


def _parse(part: str) -> tuple[str, dict[str, Any]]:
    """Return the name of one rule and the values that its options are said to have."""
    name, colon, rest = (word.strip() for word in part.partition(":"))
    if name not in RULES:
        raise OptionError(_unknown(name, part))
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


def _unknown(name: str, part: str) -> str:
    """Return the sentence for a name that no rule has; it may be one that is only written otherwise.

    part: the name with what follows it.
    """
    no_colon = _NO_COLON.fullmatch(part.strip())
    if no_colon and no_colon[1] in RULES:
        meant = f"{no_colon[1]}:{no_colon[2]}"
        return f"There is no stopping rule {part.strip()!r}; did you mean {meant!r}?"
    meant = NO_RULE if name.lower() in _OFF else name.lower()
    if meant in SEARCHES and meant != AUTO:
        known = ", ".join(RULES)
        return f"There is no stopping rule {name!r}; {meant} is a search: --search {meant}. Known: {known}."
    if meant == name or meant not in (*RULES, NO_RULE):
        return unknown_name("stopping rule", name, RULES)
    known = ", ".join((*RULES, NO_RULE))
    return f"There is no stopping rule {name!r}; did you mean {meant!r}? Known: {known}."


def _read(name: str, option: str, text: str) -> Any:
    declared = RULES[name].options.get(option)
    if declared is None:
        return text
    try:
        return declared.read(text)
    except ValueError:
        return text  # which the option does not take, and says so


def _check(name: str, said: Mapping[str, Any]) -> None:
    options = {rule: declared.options for rule, declared in RULES.items()}
    check_options("stopping rule", name, options, said, whose=f"The stopping rule {name!r}: ")
    for option in RULES[name].required:
        if option not in said:
            raise OptionError(
                f"The stopping rule {name!r} must be told {option}, {RULES[name].options[option].help}: "
                f"{name}:{','.join(f'{required}=...' for required in RULES[name].required)}."
            )
