"""The ``deephpo`` command: finds the verb, and turns the user's mistakes into one sentence each."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

from deephpo import __version__
from deephpo.cli.failures import WRONG_INPUT, explain
from deephpo.drivers.launch import launch_of
from deephpo.errors import OptionError, UserError, unknown_name

PRECEDENCE_S = 5.0
"""Launchers end a job when its first rank fails; so long the others wait for rank 0 to say why."""

VERBS = {
    "search": "search a problem's space: alone, or under mpirun or srun",
    "resume": "go on with a search that was stopped, killed, or is to have more trials",
    "status": "show how a run stands, also while it goes on",
    "check": "find what can be wrong with a problem before its run() is called",
    "simulate": "search in virtual time, with any number of workers",
    "replay": "try stopping rules on recorded learning curves",
    "submit": "search in a batch job, on Slurm or PBS",
    "doctor": "show what is installed here and what is missing; in a job, who is where",
}
"""Each verb has a module of its name in this package, with ``add_arguments`` and ``run``."""


class _Lines(argparse.HelpFormatter):
    """Leaves a text of several lines, such as a table, as it is where they fit."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = [f"{indent}{line}" for line in text.splitlines()]
        if len(lines) < 2 or max(map(len, lines)) > width:
            return super()._fill_text(text, width, indent)
        return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print and exit with, so that all errors leave by the same door."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")

    def refuse(self, word: str) -> NoReturn:
        """Raise OptionError for a word that it does not know, naming the option that may be meant."""
        is_option = word.startswith("-")
        # lr=0.1, as options are written in Python, is meant as one too.
        meant = self.closest(word) if is_option or "=" in word else None
        hint = f"; did you mean {meant!r}?" if meant else "."
        kind = "option" if is_option else "argument"
        raise OptionError(f"`{self.prog}` takes no {kind} {word!r}{hint} See `{self.prog} --help`.")

    def closest(self, word: str) -> str | None:
        """Return the option that is written most like the word; None if none is."""
        name = word.partition("=")[0].lstrip("-")
        return next(iter(get_close_matches(f"--{name}", self._option_string_actions, n=1)), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    exit_code = 0
    try:
        options = _parse(sys.argv[1:] if arguments is None else arguments)
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


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says; raises OptionError for what it may not say."""
    first = arguments[0] if arguments else ""
    parser, verbs = _parsers(first if first in VERBS else "search")
    if first and not first.startswith("-") and first not in verbs:
        raise OptionError(f"{unknown_name('verb', first, verbs)} See `deephpo --help`.")
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        meant = verbs["search"].closest(first) or "--trials 50"
        raise OptionError(
            f"A verb comes before {first!r}, as in `deephpo search PROBLEM {meant}`. See `deephpo --help`."
        )
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        verbs[options.verb].refuse(unknown[0])
    options.words = list(arguments[1:])
    return options


def _parsers(wanted: str) -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser of the whole command line, and those of the verbs, one of which knows its options.

    Only that one's module is loaded: every rank of a job pays for it.
    """
    parser = _Parser(
        prog="deephpo",
        description="Hyperparameter search for supercomputers.",
        epilog="`deephpo VERB --help` explains a verb.",
    )
    parser.add_argument("--version", action="version", version=f"deephpo {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs = {}
    for verb, help_text in VERBS.items():
        verbs[verb] = subparsers.add_parser(verb, help=help_text, formatter_class=_Lines)
        if verb == wanted:
            module = import_module(f"deephpo.cli.{verb}")
            verbs[verb].description = module.DESCRIPTION
            module.add_arguments(verbs[verb])
    return parser, verbs


if __name__ == "__main__":
    sys.exit(main())
