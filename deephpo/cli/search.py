"""``deephpo search``: over MPI when an MPI launcher started us, else on this machine alone."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.cli.options import SearchOptions, add_search_arguments, resolve
from deephpo.drivers.launch import launch_of
from deephpo.errors import MissingPackageError, OptionError

if TYPE_CHECKING:
    from deephpo.cli.session import Session
    from deephpo.engine.loop import Driver
    from deephpo.storage.run_directory import RunDirectory
    from deephpo.worker.workplace import Workplace

DESCRIPTION = """Search the space of PROBLEM for the best configuration. Started by mpirun or srun, rank 0 is
the master and every other rank a worker; started alone, the workers are processes on this machine."""

DRIVERS = ("auto", "mpi", "local")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("problem", metavar="PROBLEM", help="PROBLEM.py or package.module, perhaps with :name")
    add_search_arguments(parser)
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help="where results go (default: runs/NAME-DATE-TIME)"
    )
    where = parser.add_argument_group("the workers")
    where.add_argument("--driver", choices=DRIVERS, default="auto", help="where trials run (default: auto)")
    where.add_argument(
        "--workers", type=int, metavar="N", help="local driver: processes (default: the cores)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Search; returns the exit code."""
    options = resolve(arguments)
    driver = arguments.driver
    if driver == "auto":
        driver = "mpi" if launch_of().size > 1 else "local"
    if driver == "local":
        return _search_locally(arguments.problem, options)
    if options.workers is not None:
        raise OptionError("--workers is for the local driver; over MPI every rank but the first is a worker.")
    return _search_over_mpi(arguments.problem, options)


def _search_locally(target: str, options: SearchOptions) -> int:
    from deephpo.cli.session import Session
    from deephpo.drivers.local import LocalDriver, cores_here

    session = Session(target, options)
    workers = options.workers or cores_here()
    directory = prepare_directory(session)
    place = f"{workers} local worker{'s' if workers > 1 else ''}"
    exit_code = _conduct(session, directory, place, lambda workplace: LocalDriver(workplace, workers))
    with _nobody_need_listen():
        _show_end(session, directory)
    return exit_code


def _search_over_mpi(target: str, options: SearchOptions) -> int:
    from deephpo.drivers.mpi import MASTER, MpiDriver, dismiss, join_world, leave_world, serve

    world = join_world()
    if world.rank != MASTER:
        serve(world)
        leave_world()
        return 0
    # The rest is loaded here, not above: it brings numpy and scikit-learn, which rank 0 alone pays for.
    from deephpo.cli.session import Session

    try:
        session = Session(target, options)
        directory = prepare_directory(session)
    except BaseException:
        dismiss(world, set(range(1, world.size)))
        leave_world()
        raise
    place = f"{world.size - 1} MPI worker{'s' if world.size > 2 else ''}"
    exit_code = _conduct(session, directory, place, lambda workplace: MpiDriver(world, workplace))
    leave_world()
    with _nobody_need_listen():
        _show_end(session, directory)
    return exit_code


def prepare_directory(session: Session) -> RunDirectory:
    """Make the run directory; raises RunDirectoryError if it holds a run or cannot be written."""
    from deephpo.cli.session import default_directory
    from deephpo.storage.run_directory import RunDirectory

    directory = RunDirectory(session.options.run_dir or default_directory(session.declaration))
    directory.create()
    return directory


def _conduct(
    session: Session, directory: RunDirectory, place: str, make_driver: Callable[[Workplace], Driver]
) -> int:
    """Run the search with its files and its progress; returns the exit code."""
    from deephpo.cli.progress import LogWatcher, Progress
    from deephpo.cli.session import log_to, write_config
    from deephpo.engine.suggester import ThreadedSuggester
    from deephpo.storage.journal import Journal
    from deephpo.storage.publisher import Publisher
    from deephpo.worker.workplace import Workplace

    options = session.options
    with _nobody_need_listen():
        print(headline(session, place, directory), flush=True)
    write_config(session, directory, place)
    journal, publisher = Journal(directory.journal), Publisher(directory)
    progress = Progress(sys.stdout, options.trials, options.time_limit_s)
    workplace = Workplace(session.target, str(directory.trials), str(directory.outputs))
    with log_to(directory.log):
        driver, suggester = make_driver(workplace), ThreadedSuggester(session.search)
        exit_code = session.run(driver, suggester, journal, [publisher, LogWatcher(), progress])
        publisher.publish(session.state)
    return exit_code


def _nobody_need_listen() -> contextlib.suppress:
    """Let a reader go away, as in `| head`: neither the search nor its exit code depends on it."""
    return contextlib.suppress(BrokenPipeError)


def headline(session: Session, place: str, directory: RunDirectory) -> str:
    """Return what is searched, how and where, in two lines."""
    from deephpo import __version__

    declaration, options = session.declaration, session.options
    count = len(declaration.space.parameters)
    space = f"{count} parameter{'s' if count > 1 else ''}"
    details = ", ".join(f"{name} {value}" for name, value in options.strategy.items())
    how = f"{options.search} ({details})" if details else options.search
    return (
        f"deephpo {__version__} · {declaration.name}: {declaration.direction} {declaration.objective} "
        f"over {space}\n{how} · seed {options.seed} · {place} · {directory.path}\n"
    )


def _show_end(session: Session, directory: RunDirectory) -> None:
    """Print the table, draw the picture, and say where everything is."""
    from deephpo.report.picture import draw
    from deephpo.report.summary import full_summary

    print("\n" + "\n".join(full_summary(session.state, top=5)))
    try:
        draw(session.state, directory.picture)
    except MissingPackageError as error:
        print(f"\nNo picture: {error}")
    files = (directory.table, directory.archive, directory.journal, directory.config, directory.log)
    names = ", ".join(path.name for path in (directory.picture, *files) if path.exists())
    print(f"\nIn {directory.path}: {names}")
