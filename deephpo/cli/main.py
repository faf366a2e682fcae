"""The ``deephpo`` command: finds the verb, and turns the user's mistakes into one sentence each."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from deephpo import __version__
from deephpo.cli.failures import WRONG_INPUT, explain
from deephpo.drivers.launch import launch_of
from deephpo.errors import OptionError, UserError

PRECEDENCE_S = 5.0
"""Launchers end a job when its first rank fails; so long the others wait for rank 0 to say why."""

VERBS = {
    "search": "search a problem's space: alone, or under mpirun or srun",
    "resume": "go on with a search that was stopped, killed, or is to have more trials",
    "status": "show how a run stands, also while it goes on",
    "check": "find everything that can be wrong with a problem, without running it",
    "simulate": "search in virtual time, with any number of workers",
    "doctor": "show what is installed here, and what is missing",
}
"""Each verb has a module of its name in this package, with ``add_arguments`` and ``run``."""


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print and exit with, so that all errors leave by the same door."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    exit_code = 0
    try:
        options = _parser().parse_args(arguments)
        module = import_module(f"deephpo.cli.{options.verb}")
        exit_code = module.run(options)
        sys.stdout.flush()
    except UserError as error:
        # All ranks of an MPI job find the same mistake; one of them says so.
        if launch_of().rank != 0:
            time.sleep(PRECEDENCE_S)
            return WRONG_INPUT
        return explain(error)
    except KeyboardInterrupt as error:
        return explain(error)
    except BrokenPipeError:
        # The reader of our output has seen enough, as in `deephpo status DIR | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="deephpo",
        description="Hyperparameter search for supercomputers.",
        epilog="`deephpo VERB --help` explains a verb.",
    )
    parser.add_argument("--version", action="version", version=f"deephpo {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, help_text in VERBS.items():
        module = import_module(f"deephpo.cli.{verb}")
        module.add_arguments(verbs.add_parser(verb, help=help_text, description=module.DESCRIPTION))
    return parser


if __name__ == "__main__":
    sys.exit(main())
