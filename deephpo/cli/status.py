"""``deephpo status``: how a run stands, read from its journal, also while it goes on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from deephpo.errors import OptionError

DESCRIPTION = "Show how a run stands: counts, the best trials, the reasons of failures."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="the directory of the run")
    parser.add_argument(
        "--top", type=int, default=5, metavar="K", help="how many of the best trials (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; returns the exit code."""
    from deephpo.report.summary import as_json, full_summary
    from deephpo.storage.journal import read_journal
    from deephpo.storage.run_directory import RunDirectory
    from deephpo.storage.run_state import RunState

    if arguments.top < 1:
        raise OptionError(f"--top must be at least 1, not {arguments.top}.")
    directory = RunDirectory(arguments.run_dir)
    directory.require()
    state = RunState(read_journal(directory.journal))
    if arguments.json:
        print(json.dumps(as_json(state, arguments.top)))
        return 0
    if state.finished is None:
        print(f"Not finished; running at the last word: {len(state.running)}.")
    print("\n".join(full_summary(state, arguments.top)))
    return 0
