"""From an exception to what the user reads and the program ends with."""

from __future__ import annotations

import sys
import traceback

from deephpo.errors import UserError

WRONG_INPUT = 2
INTERRUPTED = 130
OUR_FAULT = 1


def explain(error: BaseException) -> int:
    """Print what went wrong on stderr, and return the exit code.

    A user's mistake is one sentence; a mistake of ours is a traceback, and worth a report.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else OUR_FAULT
    if isinstance(error, UserError):
        print(f"deephpo: {error}", file=sys.stderr)
        return WRONG_INPUT
    if isinstance(error, KeyboardInterrupt):
        print("deephpo: interrupted.", file=sys.stderr)
        return INTERRUPTED
    traceback.print_exception(error)
    return OUR_FAULT
