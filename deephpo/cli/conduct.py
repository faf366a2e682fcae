"""Running a session: on which driver, with which files, and what is shown at the end."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from deephpo.cli.failures import explain
from deephpo.drivers.launch import launch_of
from deephpo.errors import LaunchError, MissingPackageError, OptionError

if TYPE_CHECKING:
    from deephpo.cli.session import Session
    from deephpo.engine.loop import Driver
    from deephpo.storage.recorder import Watcher
    from deephpo.storage.run_directory import RunDirectory
    from deephpo.worker.workplace import Workplace

DRIVERS = ("auto", "mpi", "local")


def conduct(
    prepare: Callable[[int | None], Session], driver: str, workers: int | None, share_gpus: bool
) -> int:
    """Search on a driver; returns the exit code.

    prepare: called on rank 0 alone with the number of workers, if that is known; returns the session, or
    raises UserError.
    driver: one of DRIVERS.  workers: how many local ones are asked for; None: as the session's options say,
    else as many as there are cores.  share_gpus: whether several MPI ranks may have the same one.
    """
    if driver == "auto":
        driver = "mpi" if launch_of().size > 1 else "local"
    if driver == "local":
        return _search_locally(prepare, workers)
    if workers is not None:
        raise OptionError("--workers is for the local driver; over MPI every rank but the first is a worker.")
    return _search_over_mpi(prepare, share_gpus)


def _search_locally(prepare: Callable[[int | None], Session], workers: int | None) -> int:
    from deephpo.drivers.local import LocalDriver

    session = prepare(workers)
    wanted = session.workers
    if session.options.trials is not None and session.sizing.largest == 1:
        wanted = min(wanted, session.options.trials)
    place = f"{wanted} local worker{'s' if wanted > 1 else ''}"
    return _search(session, place, lambda workplace: LocalDriver(workplace, wanted), wanted, None)


def _search_over_mpi(prepare: Callable[[int | None], Session], share_gpus: bool) -> int:
    from deephpo.drivers.mpi import LEASE_S, MpiDriver, dismiss, leave_last, serve
    from deephpo.drivers.world import MASTER, join_world

    world = join_world(share_gpus)
    if world.rank != MASTER:
        return world.leave(0 if serve(world) or not leave_last(world) else _without_a_master())
    workers = world.size - 1
    place = f"{workers} MPI worker{'s' if workers > 1 else ''}"
    try:
        if world.refusal:
            raise LaunchError(world.refusal)
        # Only here: it brings numpy and scikit-learn, which rank 0 alone pays for.
        session = prepare(workers)
        exit_code = _search(session, place, lambda workplace: MpiDriver(world, workplace), workers, LEASE_S)
    except BaseException as error:  # noqa: BLE001  (the process border: the other ranks wait to be sent home)
        exit_code = explain(error)
    return world.leave(exit_code, everybody_left=dismiss(world))


def _without_a_master() -> int:
    """Say that the search ends here; returns the exit code."""
    from deephpo.storage.records import CAN_BE_RESUMED

    print("deephpo: rank 0, the master, died; what it recorded is safe: resume the search.", file=sys.stderr)
    return CAN_BE_RESUMED


def say_if_done(session: Session) -> int | None:
    """Say that a search which came to its end has nothing left to do; returns its exit code, or None.

    One that was cut short has its files to write, even if its last trial is done.
    """
    from deephpo.storage.records import CAN_BE_RESUMED

    ended, directory = session.state.finished, session.directory
    if ended is None or ended.exit_code == CAN_BE_RESUMED or directory is None:
        return None
    end = session.foregone_end()
    if end is None or end.exit_code == CAN_BE_RESUMED:
        return None
    session.give_up()
    _print(f"The search in {directory.path} has nothing left to do: {end.reason}.")
    _print(
        "It goes on with more --trials, --plateau or --node-hours, or with another --goal, if one of these "
        f"ended it. Its results: deephpo status {directory.path}"
    )
    return end.exit_code


def _search(
    session: Session,
    place: str,
    make_driver: Callable[[Workplace], Driver],
    workers: int,
    lease_s: float | None,
) -> int:
    """Run the session with its files and its progress, and show how it ended; returns the exit code."""
    import json

    from deephpo.cli.log import LogWatcher, log_to
    from deephpo.cli.progress import Progress
    from deephpo.cli.provenance import write_config
    from deephpo.cli.signals import StopButton, listening
    from deephpo.storage.publisher import Publisher
    from deephpo.storage.records import Begun
    from deephpo.worker.workplace import Workplace

    if (done := say_if_done(session)) is not None:
        return done
    directory, options = session.directory, session.options
    assert directory is not None
    button, publisher, deadline = StopButton(), Publisher(directory), session.deadline
    # A resumed search counts its time on: the limit is the end on its clock, not the length of this process.
    ends_at_s = None if deadline is None else deadline.time_s
    progress = Progress(sys.stdout, options.trials, ends_at_s, directory.log)
    workplace = Workplace(
        session.target,
        str(directory.trials.resolve()),
        str(directory.outputs.resolve()),
        json.dumps(session.declaration.to_dict()),
        session.limits,
        session.notice_s,
    )
    with listening(button), log_to(directory.log):
        driver = make_driver(workplace)
        _print(headline(session, place, directory))
        if isinstance(session.opening, Begun):
            write_config(session, directory, place)
        exit_code = _run(
            session, driver, [publisher, LogWatcher(), progress], workers, lease_s, button.connect
        )
        _log_overhead(session)
        if not_written := publisher.publish(session.state):
            _print(f"\n{not_written}")
        _show_end(session, directory, exit_code)
    return exit_code


def _run(
    session: Session,
    driver: Driver,
    watchers: Sequence[Watcher],
    workers: int,
    lease_s: float | None,
    listen: Callable[[Callable[[str], None]], None],
) -> int:
    """Run the search to its end, or to where nothing can be recorded any more; returns the exit code."""
    from deephpo.engine.suggester import ThreadedSuggester
    from deephpo.storage.journal import JournalFullError
    from deephpo.storage.records import CAN_BE_RESUMED

    suggester = ThreadedSuggester(session.search, session.sizing)
    try:
        return session.run(driver, suggester, watchers, workers=workers, lease_s=lease_s, listen=listen)
    except JournalFullError as error:
        _print(f"\nThe search stops: {error}. What was recorded is safe; make room, then resume it.")
        return CAN_BE_RESUMED


def _log_overhead(session: Session) -> None:
    """Log what the search itself cost, start-up included."""
    used_s, trials = time.process_time(), max(1, session.state.done - session.backlog.settled)
    logging.getLogger("deephpo").info(
        "the master used %.2f CPU seconds, %.2f ms a trial", used_s, 1000 * used_s / trials
    )


def headline(session: Session, place: str, directory: RunDirectory) -> str:
    """Return what is searched, how and where, in two lines, and in a batch job in which, in another."""
    from deephpo import __version__
    from deephpo.schedulers.job import job_line
    from deephpo.stopping.create import NO_RULE

    declaration, options = session.declaration, session.options
    count = len(declaration.space.parameters)
    space = f"{count} parameter{'s' if count > 1 else ''}"
    details = ", ".join(f"{name} {value}" for name, value in options.strategy.items())
    how = f"{options.search} ({details})" if details else options.search
    how += ", batch by batch" if options.synchronous else ""
    how += "" if options.stop == NO_RULE else f" · stopping by {options.stop}"
    place += _gangs(session)
    lines = [
        f"deephpo {__version__} · {declaration.name}: {declaration.direction} {declaration.objective} "
        f"over {space}",
        f"{how} · seed {options.seed} · {place} · {directory.path}",
    ]
    if (job := job_line()) is not None:
        lines.append(job)
    if session.state.trials:
        lines.append(
            f"resumed: {session.backlog.settled} trials done, {len(session.backlog.waiting)} wait to go out"
        )
    return "\n".join(lines) + "\n"


def _gangs(session: Session) -> str:
    """Return how many workers train a trial, if not one, and how many have nothing to do because of that."""
    least, most = session.sizing.smallest, session.sizing.largest
    if least < most:
        return f", {least} to {most} for a trial"
    idle = session.workers % most
    return "" if most == 1 else f", {most} for a trial{f', {idle} idle' if idle else ''}"


def _show_end(session: Session, directory: RunDirectory, exit_code: int) -> None:
    """Print the table, draw the picture, and say where everything is."""
    from deephpo.cli.next_command import next_command
    from deephpo.report.picture import draw
    from deephpo.report.summary import full_summary
    from deephpo.storage.records import CAN_BE_RESUMED

    _print("\n" + "\n".join(full_summary(session.state, top=5)))
    try:
        draw(session.state, directory.picture)
    except (MissingPackageError, OSError) as error:
        _print(f"\nNo picture: {error}")
    files = (directory.table, directory.archive, directory.journal, directory.config, directory.log)
    names = ", ".join(path.name for path in (directory.picture, *files) if path.exists())
    _print(f"\nIn {directory.path}: {names}")
    recorded = session.state.declaration is not None
    if exit_code == CAN_BE_RESUMED and recorded and (command := next_command(directory)) is not None:
        _print(command)


def _print(text: str) -> None:
    """Print, and let a reader go away, as in `| head`: the search does not depend on it."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)
