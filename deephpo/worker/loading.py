"""Loading the user's problem: this runs in a child, never in a search process."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from deephpo.errors import ProblemError, UserError
from deephpo.problem import Problem


def split_target(target: str) -> tuple[str, str]:
    """Return the file or module, and the name in it: ``problem`` unless the target ends in ``:name``."""
    place, separator, name = target.rpartition(":")
    return (place, name) if separator and place else (target, "problem")


def is_file(place: str) -> bool:
    """Return whether the place of a target is a file rather than a module."""
    return place.endswith(".py") or os.sep in place


def name_of(target: str) -> str:
    """Return what a run of this problem is called: the file's or the module's last name."""
    place, _ = split_target(target)
    return Path(place).stem if is_file(place) else place.rpartition(".")[2]


def load_problem(target: str) -> Problem:
    """Return the problem at ``PROBLEM.py`` or ``package.module``, either with ``:name`` behind it.

    Raises ProblemError: what is wrong with it, in which file and line.
    """
    place, name = split_target(target)
    if not name:
        raise ProblemError(
            f"Nothing follows the colon of {target!r}: name a Problem there, as in {place}:problem, or leave "
            "the colon out."
        )
    try:
        module = _load_file(Path(place)) if is_file(place) else _load_module(place)
    except UserError as error:
        raise ProblemError(f"{_where(error)}{error}") from None
    except BaseException as error:
        raise ProblemError(f"{_where(error) or f'{place}: '}{_sentence(error)}") from error
    found = getattr(module, name, None)
    if isinstance(found, Problem):
        return found
    if found is None:
        raise ProblemError(f"{place} defines no {name!r}{_what_instead(place, name, module)}")
    raise ProblemError(f"{place}: {name!r} must be a Problem, but it is a {type(found).__name__}.")


def _what_instead(place: str, name: str, module: ModuleType) -> str:
    """Return how a sentence ends that says that a name is missing: with those problems that there are."""
    others = [other for other, value in vars(module).items() if isinstance(value, Problem)]
    if not others:
        return f"; end it with: {name} = Problem(space, run, objective='...')."
    which = "that" if len(others) == 1 else "which"
    return f", but {' and '.join(map(repr, others))}: say {which}, as in {place}:{others[0]}."


def _load_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise ProblemError(f"{path} is a directory; name the problem's file in it.")
    if not path.is_file():
        raise ProblemError(f"There is no file {path}.")
    # As for a script, what lies beside the file can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise ProblemError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    nowhere = ProblemError(
        f"There is no module {name!r}, nor a file of that name; a file is named with its .py."
    )
    if not all(name.split(".")):
        raise nowhere
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise nowhere from None
        raise


def _where(error: BaseException) -> str:
    """Return the innermost place in the user's own files, as a beginning of a sentence."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if not frames:
        return ""
    relative = os.path.relpath(frames[-1].filename)
    filename = frames[-1].filename if relative.startswith("..") else relative
    return f"{filename}, line {frames[-1].lineno}: "


def _is_users(filename: str) -> bool:
    """Return whether a file is neither ours, nor Python's, nor an installed package's."""
    own, library = Path(__file__).resolve().parent.parent, Path(os.__file__).parent
    path = Path(filename)
    installed = {"site-packages", "dist-packages"}.intersection(path.parts)
    return not (filename.startswith("<") or installed or {own, library}.intersection(path.parents))


def _sentence(error: BaseException) -> str:
    message = str(error.msg) if isinstance(error, SyntaxError) else str(error)
    sentence = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, NameError) and error.name == "run":
        sentence += "; define run(config, ctx) above the problem"
    if isinstance(error, TypeError) and "missing 1 required positional argument: 'run'" in message:
        sentence += "; a problem is Problem(space, run, objective='...')"
    return sentence.rstrip(".") + "."
