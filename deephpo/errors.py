"""The exceptions that deephpo raises on purpose, in one tree.

Every message is a sentence for the user: the rule, the value that broke it, the cure.  The command
line prints it without a traceback and exits with 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DeephpoError(Exception):
    """The root of everything that deephpo raises on purpose."""


class UserError(DeephpoError):
    """Something the user wrote is wrong; the message says what, where and the cure."""


class SpaceError(UserError):
    """A parameter, a condition or a forbidden combination that cannot be."""


class ProblemError(UserError):
    """A problem file that cannot be read, or a declaration in it that cannot be."""


class OptionError(UserError):
    """An option that does not exist, or a value that it does not take."""


class RunDirectoryError(UserError):
    """A run directory that cannot be written, or does not hold what was asked for."""


class LaunchError(UserError):
    """The program was started in a way that cannot work, such as N worlds of one rank."""


class MissingPackageError(UserError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: {how_to_install(extra)}.")


class TrialStopped(BaseException):
    """Raised in a trial, by ``ctx.report``, when a stopping rule has judged it; a trial need not catch it.

    It is no Exception, so that ``except Exception`` does not take it for a failure of the training; what
    ``finally`` and ``with`` are to clean up is cleaned up.
    """


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra; which one is right depends on where deephpo came from."""
    return f"pip install 'deephpo[{extra}]', or in a clone pip install '.[{extra}]'"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not in a table; it lists the known ones.

    >>> unknown_name("search", "ambz", ["ambs", "random"])
    "There is no search 'ambz'; did you mean 'ambs'? Known: ambs, random."
    """
    names = list(known)
    close = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"There is no {kind} {name!r}{hint} Known: {', '.join(names)}."
