"""The options of a search, where each came from, and what they may be."""

from __future__ import annotations

import argparse
import re
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deephpo.cli.quantities import at_least, finite, parse_time
from deephpo.engine.terms import RETRIES
from deephpo.errors import OptionError
from deephpo.search.create import METHODS, SEARCHES, Method, method_of
from deephpo.search.options import Choice, Count, Number, Option
from deephpo.stopping.create import AUTO, DEFAULT_RULE, NO_RULE, RULES
from deephpo.stopping.lesson import LESSONS, Lesson
from deephpo.worker.limits import parse_memory

DEFAULT_TRIALS = 100

_OLDER = {
    "synchronous": {"value": False, "origin": "default"},
    "ranks_per_trial": {"value": None, "origin": "default"},
    "stop": {"value": "none", "origin": "default"},
    "stopped_value": {"value": "best", "origin": "default"},
    "promote": {"value": False, "origin": "default"},
    **{name: {"value": None, "origin": "default"} for name in ("goal", "plateau", "node_hours")},
}
"""What journals lack that are older than these options."""


@dataclass(frozen=True)
class SearchOptions:
    """What decides a search, beside the problem."""

    search: str
    strategy: dict[str, Any]
    """The options of the strategy alone."""
    seed: int
    synchronous: bool
    """Whether trials are asked for batch by batch, each when all of the last one have ended."""
    trials: int | None
    time_limit_s: float | None
    goal: float | None
    """It ends when the best is as good as this."""
    plateau: int | None
    """It ends when so many trials in a row brought no new best."""
    node_hours: float | None
    """It ends when the hosts of its workers were there for so long, all together."""
    stop: str
    """The stopping rule, as ``deephpo.stopping.create`` reads it; "none" for none."""
    stopped_value: Lesson
    """Which of its values a stopped trial stands for."""
    promote: bool
    """Whether stopped trials go on from their checkpoints when they are among the best after all."""
    workers: int | None
    ranks_per_trial: int | None
    """How many workers train a trial together; None: as the problem says."""
    run_dir: Path | None
    retries: int
    """How often a trial that lost its worker goes out again."""
    trial_timeout_s: float | None
    """None: as the problem says."""
    trial_memory_bytes: int | None
    """None: as the problem says."""
    warm_start: Path | None
    """A run directory or a results.csv whose observations the search begins with."""
    origins: dict[str, str]
    """Where each value came from: "command line", "default" or "drawn"."""

    def to_dict(self) -> dict[str, Any]:
        """Return the options that decide the search as plain values, each with its origin."""
        values: dict[str, Any] = {
            "search": self.search,
            **self.strategy,
            "seed": self.seed,
            "synchronous": self.synchronous,
            "trials": self.trials,
            "time_limit_s": self.time_limit_s,
            "goal": self.goal,
            "plateau": self.plateau,
            "node_hours": self.node_hours,
            "stop": self.stop,
            "stopped_value": self.stopped_value,
            "promote": self.promote,
            "workers": self.workers,
            "ranks_per_trial": self.ranks_per_trial,
            "retries": self.retries,
            "trial_timeout_s": self.trial_timeout_s,
            "trial_memory_bytes": self.trial_memory_bytes,
            "warm_start": None if self.warm_start is None else str(self.warm_start),
        }
        return {name: {"value": v, "origin": self.origins[name]} for name, v in values.items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> SearchOptions:
        """Return the options that :meth:`to_dict` wrote."""
        record = {**_OLDER, **record}
        values = {name: entry["value"] for name, entry in record.items()}
        strategy = {name: values.pop(name) for name in _owners() if name in values}
        origins = {name: entry["origin"] for name, entry in record.items()}
        warm_start = values.pop("warm_start")
        return cls(
            **values,
            strategy=strategy,
            run_dir=None,
            warm_start=None if warm_start is None else Path(warm_start),
            origins=origins,
        )


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``search`` and ``simulate`` have in common."""
    search = parser.add_argument_group("the search")
    search.add_argument("--search", metavar="NAME", help=f"one of those below (default: {SEARCHES[0]})")
    search.add_argument(
        "--seed",
        type=int,
        help="same seed, same random numbers; exactly repeatable with one worker; with more, the order "
        "of results matters (default: drawn)",
    )
    search.add_argument(
        "--warm-start",
        type=Path,
        metavar="RUN",
        help="begin with the results of a run directory or results.csv",
    )
    search.add_argument(
        "--synchronous",
        action="store_const",
        const=True,
        help="ask for as many trials as there are workers when all of the last ones have ended "
        "(default: for one whenever a worker is free)",
    )
    _add_strategy_arguments(parser)
    add_stopping_arguments(parser)
    add_end_arguments(parser)


def add_end_arguments(
    parser: argparse.ArgumentParser,
    trials: str = "so many trials (default: 100 without a time limit)",
    time: str = "so much time: 90s, 30m, 1h30m, 2:00:00; a number alone means seconds",
) -> None:
    """Add what a search ends with; trials, time: the help on these two."""
    end = parser.add_argument_group("the end, whichever comes first")
    end.add_argument(
        "--trials",
        type=at_least("--trials", 1),
        metavar="N",
        help=trials,
    )
    end.add_argument(
        "--time-limit",
        dest="time_limit_s",
        type=parse_time,
        metavar="T",
        help=time,
    )
    end.add_argument(
        "--goal",
        type=finite("--goal"),
        metavar="VALUE",
        help="an objective as good as this",
    )
    end.add_argument(
        "--plateau",
        type=at_least("--plateau", 1),
        metavar="N",
        help="so many trials in a row without a new best",
    )
    end.add_argument(
        "--node-hours",
        type=finite("--node-hours", above=0.0),
        metavar="H",
        help="so much time of the hosts on which workers are, all together",
    )


def add_stopping_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which trials are stopped early, and what becomes of them."""
    width = max(map(len, RULES))
    table = "\n".join(f"{name:<{width}}  {rule.summary}" for name, rule in RULES.items())
    parser.add_argument_group("stopping rules, and whom each stops", table)
    group = parser.add_argument_group("hopeless trials")
    add_rule_argument(group)
    group.add_argument(
        "--stopped-value",
        choices=LESSONS,
        help=f"which of its values a stopped trial stands for (default: {LESSONS[0]})",
    )


class _OneRule(argparse.Action):
    """Takes a stopping rule once: of two, argparse would take the last and forget the first."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Keep the rule; raises OptionError if another one was said before."""
        before = getattr(namespace, self.dest)
        if before not in (None, values):
            joined = f"{before} + {values}"
            hint = "" if {AUTO, NO_RULE} & {before, values} else f"; join rules with +: --stop {joined!r}"
            raise OptionError(f"--stop is said twice, as {before!r} and as {values!r}: say it once{hint}.")
        setattr(namespace, self.dest, values)


def add_rule_argument(group: argparse._ArgumentGroup) -> None:
    """Add which trials are stopped early."""
    group.add_argument(
        "--stop",
        action=_OneRule,
        metavar="RULE",
        help="stop trials by what they report: one of the rules above or several, as in "
        f"'asha:eta=3 + diverged', or none (default: {DEFAULT_RULE} if the problem has a fidelity)",
    )
    group.add_argument(
        "--promote",
        action=argparse.BooleanOptionalAction,
        help="let a trial that asha or hyperband stopped go on from its own checkpoint when it is among the "
        "best after all (default: it stays stopped)",
    )


def _add_strategy_arguments(parser: argparse.ArgumentParser) -> None:
    """Say in a line each which searches there are, and add the options that only some of them have."""
    width = max(map(len, METHODS))
    parser.add_argument_group(
        "searches", "\n".join(f"{name:<{width}}  {method.summary}" for name, method in METHODS.items())
    )
    group = parser.add_argument_group("options of some searches")
    for name, owners in _owners().items():
        option = METHODS[owners[0]].options[name]
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=_reader(name, option),
            metavar="N" if isinstance(option, Count | Number) else "NAME",
            help=_explained(name, owners),
        )


def _reader(name: str, option: Option) -> Callable[[str], Any]:
    """Return what reads an option for argparse; raises ArgumentTypeError for a text that is no value."""

    def read(text: str) -> Any:
        try:
            return option.read(text)
        except ValueError:
            try:
                option.check(name, text)
            except OptionError as error:
                raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None
            raise

    return read


def _explained(name: str, owners: list[str]) -> str:
    """Return what an option is, and for which searches; where they differ, one after the other."""
    options = {owner: METHODS[owner].options[name] for owner in owners}
    alike: dict[str, list[str]] = {}
    for owner, option in options.items():
        names = f": {', '.join(option.names)}" if isinstance(option, Choice) else ""
        alike.setdefault(f"{option.help}{names} (default: {option.default})", []).append(owner)
    return "; ".join(f"{', '.join(who)}: {what}" for what, who in alike.items())


def _owners() -> dict[str, list[str]]:
    """Return the options that only some searches have, and which searches those are."""
    owners: dict[str, list[str]] = {}
    for search, method in METHODS.items():
        for name in method.options:
            owners.setdefault(name, []).append(search)
    return owners


def add_ranks_argument(group: argparse._ArgumentGroup) -> None:
    """Add how many workers train a trial together."""
    group.add_argument(
        "--ranks-per-trial",
        type=at_least("--ranks-per-trial", 1),
        metavar="K",
        help="so many workers train a trial together, data-parallel; on resume those trials too that wait "
        "(default: as the problem says, else 1)",
    )


def add_fault_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a trial may take, and what becomes of it when its worker is lost."""
    faults = parser.add_argument_group("faults")
    faults.add_argument(
        "--trial-timeout",
        dest="trial_timeout_s",
        type=parse_time,
        metavar="T",
        help="end a trial that runs longer: 90s, 30m, 2h",
    )
    faults.add_argument(
        "--trial-memory",
        dest="trial_memory_bytes",
        type=parse_memory,
        metavar="SIZE",
        help="end a trial that takes more, its process tree counted: 512M, 4G",
    )
    faults.add_argument(
        "--retries",
        type=at_least("--retries", 0),
        metavar="N",
        help=f"a trial that lost its worker goes out again, so often at most (default: {RETRIES})",
    )


def resolve(arguments: argparse.Namespace) -> SearchOptions:
    """Return the options with defaults filled in; raises OptionError for what cannot be."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    search = given.get("search", SEARCHES[0])
    strategy = {name: given[name] for name in _owners() if name in given}
    method = _method_of(search)
    method.check(search, strategy)
    strategy = method.defaults() | strategy
    defaults: dict[str, Any] = {
        "search": search,
        "synchronous": False,
        "trials": None if "time_limit_s" in given else DEFAULT_TRIALS,
        "time_limit_s": None,
        "goal": None,
        "plateau": None,
        "node_hours": None,
        "stop": AUTO,
        "stopped_value": LESSONS[0],
        "promote": False,
        "workers": None,
        "ranks_per_trial": None,
        "run_dir": None,
        "retries": RETRIES,
        "trial_timeout_s": None,
        "trial_memory_bytes": None,
        "warm_start": None,
    }
    origins = {name: "command line" if name in given else "default" for name in (*defaults, *strategy)}
    origins["seed"] = "command line" if "seed" in given else "drawn"
    values = {name: given.get(name, default) for name, default in defaults.items()}
    return SearchOptions(
        **values, strategy=strategy, seed=given.get("seed", secrets.randbits(31)), origins=origins
    )


def _method_of(search: str) -> Method:
    """Return a search's entry in the table; raises OptionError for an unknown name, which may be a rule's."""
    word = re.match(r"[\w-]+", search)
    if word is not None and (rule := word[0].lower()) in RULES:
        raise OptionError(
            f"There is no search {search!r}; {rule} is a stopping rule: "
            f"--stop {shlex.quote(rule + search.removeprefix(word[0]))}. "
            f"Known: {', '.join(SEARCHES)}."
        )
    return method_of(search)
