"""The batch systems' own commands."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deephpo.errors import LaunchError

PATIENCE_S = 60.0
"""Busy batch systems answer late."""


def answer(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Return what a command prints; nothing if it cannot tell.

    environment: its variables; None: those of this process.
    """
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ended.stdout.strip()


def submitted(command: Sequence[str], place: Path) -> str:
    """Return what a command that submits prints; raises LaunchError, with its own words, if it refuses to.

    place: where it is called: some leave files there.
    """
    line = " ".join(command)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=place)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"The job could not be submitted: `{line}` did not work ({error}).") from None
    if ended.returncode:
        words = " ".join((ended.stderr or ended.stdout).split())
        raise LaunchError(f"The job was refused: `{line}` says: {words}")
    return ended.stdout.strip()
