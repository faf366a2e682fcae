"""What the commands ``python -m deephpo.keras.NAME`` have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable

from deephpo.errors import UserError


def answer(work: Callable[[], str]) -> int:
    """Do the work; say what it returns, or what is wrong with what the user wrote.  Returns the exit code."""
    try:
        sys.stdout.write(f"{work()}\n")
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0
