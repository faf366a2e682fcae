"""``deephpo status``: how a run stands, read from its journal, also while it goes on."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.errors import OptionError, RunDirectoryError

if TYPE_CHECKING:
    from deephpo.storage.run_state import RunState

DESCRIPTION = "Show how a run stands: counts, the best trials, the reasons of failures."

SILENCE_S = 60.0
"""A search that lives renews its journal's modification time more often than that."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="the directory of the run")
    parser.add_argument(
        "--top", type=int, default=5, metavar="K", help="how many of the best trials (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; returns the exit code."""
    from deephpo.cli.next_command import next_command
    from deephpo.report.summary import as_json, full_summary
    from deephpo.storage.journal import read_journal
    from deephpo.storage.run_directory import RunDirectory
    from deephpo.storage.run_state import RunState

    if arguments.top < 1:
        raise OptionError(f"--top must be at least 1, not {arguments.top}.")
    if arguments.run_dir.is_file():
        raise RunDirectoryError(
            f"{arguments.run_dir} is a file; name the run directory, such as {arguments.run_dir.parent}."
        )
    directory = RunDirectory(arguments.run_dir)
    directory.require()
    state = RunState(read_journal(directory.journal))
    if arguments.json:
        print(json.dumps(as_json(state, arguments.top)))
        return 0
    silence_s = max(0.0, time.time() - directory.journal.stat().st_mtime)
    if state.finished is None:
        print(_sign_of_life(silence_s, len(state.running)))
    print("\n".join(full_summary(state, arguments.top)))
    if _can_go_on(state, silence_s) and (command := next_command(directory)) is not None:
        print(f"\n{command}")
    return 0


def _sign_of_life(silence_s: float, running: int) -> str:
    """Return whether a run without an end goes on, as far as its journal's age can tell."""
    trials = f"{running} trial{'' if running == 1 else 's'} running"
    if silence_s <= SILENCE_S:
        return f"Running: last heard of {_span(silence_s)} ago, {trials}."
    return f"Not heard of for {_span(silence_s)}, {trials}: probably killed."


def _can_go_on(state: RunState, silence_s: float) -> bool:
    """Return whether a run stopped before it was done."""
    from deephpo.storage.records import CAN_BE_RESUMED

    if state.finished is not None:
        return state.finished.exit_code == CAN_BE_RESUMED
    return state.declaration is not None and silence_s > SILENCE_S


def _span(seconds: float) -> str:
    """Return a time span in the largest unit that fits it twice: 90 s, 5 min, 3 h, 2 d."""
    units = ((86400, "d"), (3600, "h"), (60, "min"))
    fitting = ((size, unit) for size, unit in units if seconds >= 2 * size)
    size, unit = next(fitting, (1, "s"))
    return f"{seconds // size:.0f} {unit}"
