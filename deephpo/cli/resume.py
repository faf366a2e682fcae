"""``deephpo resume``: go on with a search that was stopped, killed, or is to have more trials."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.cli.conduct import DRIVERS, conduct, say_if_done
from deephpo.cli.options import SearchOptions, add_end_arguments, add_rule_argument
from deephpo.cli.search import add_worker_arguments

if TYPE_CHECKING:
    from deephpo.cli.session import Session

DESCRIPTION = """Go on with the search in RUN_DIR, in the same files: its model, its pending trials and its
random numbers are those at which it stopped. With --trials it gets more of them; a time limit counts anew."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="the directory of the run")
    add_end_arguments(
        parser, "so many in all (default: as it began)", "so much more time (default: as it began)"
    )
    add_rule_argument(parser.add_argument_group("hopeless trials"))
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on although the problem changed harmlessly"
    )
    add_worker_arguments(parser, (*DRIVERS, "simulated"))


def run(arguments: argparse.Namespace) -> int:
    """Resume; returns the exit code."""

    def prepare(workers: int | None) -> Session:
        from deephpo.cli.opening import resume
        from deephpo.storage.run_directory import RunDirectory

        return resume(RunDirectory(arguments.run_dir), changes(arguments), arguments.accept_changes, workers)

    if arguments.driver == "simulated":
        return _simulate(prepare(None))
    return conduct(prepare, arguments.driver, arguments.workers, arguments.share_gpus)


def changes(arguments: argparse.Namespace) -> Callable[[SearchOptions], SearchOptions]:
    """Return what makes the options with which a search began those with which it is to go on."""
    names = (
        "trials",
        "time_limit_s",
        "goal",
        "plateau",
        "node_hours",
        "stop",
        "promote",
        "workers",
        "ranks_per_trial",
    )
    said = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in said.items() if value is not None}

    def change(options: SearchOptions) -> SearchOptions:
        return replace(options, **given, origins=options.origins | dict.fromkeys(given, "command line"))

    return change


def _simulate(session: Session) -> int:
    """Go on in virtual time, as ``deephpo simulate`` does."""
    from deephpo.cli.simulate import play
    from deephpo.drivers.durations import DEFAULT, parse_durations
    from deephpo.report.summary import full_summary

    if (done := say_if_done(session)) is not None:
        return done
    durations = parse_durations(DEFAULT, session.options.seed)
    exit_code, _ = play(session, session.options.workers or 1, durations, problem_decides=True)
    print("\n".join(full_summary(session.state, top=5)))
    return exit_code
