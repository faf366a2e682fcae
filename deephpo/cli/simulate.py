"""``deephpo simulate``: the same search in virtual time, to see what many workers would do."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deephpo.cli.options import add_ranks_argument, add_search_arguments, resolve
from deephpo.cli.quantities import at_least
from deephpo.trial import TrialState

if TYPE_CHECKING:
    from deephpo.cli.session import Session
    from deephpo.cli.signals import StopButton
    from deephpo.drivers.simulated import MasterClock
    from deephpo.storage.recorder import Watcher

DESCRIPTION = """Search PROBLEM in virtual time: every trial is really evaluated, one after the other, but
its duration is drawn, and passes at once. Shows how busy so many workers would be, charging the master with
the CPU time that it really takes. --time-limit counts virtual time. Nothing is written unless --run-dir says
where."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("problem", metavar="PROBLEM", help="PROBLEM.py or package.module, perhaps with :name")
    parser.add_argument(
        "--workers",
        type=at_least("--workers", 1),
        default=16,
        metavar="N",
        help="so many (default: 16)",
    )
    parser.add_argument(
        "--duration",
        metavar="SPEC",
        help="seconds of a trial: lognormal:MEDIAN,SIGMA, constant:S, uniform:LOW,HIGH, exponential:MEAN "
        "(default: what the problem says of itself, else lognormal:60,0.5)",
    )
    add_ranks_argument(parser.add_argument_group("the workers"))
    add_search_arguments(parser)
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="write the results there")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Simulate; returns the exit code."""
    from deephpo.cli.opening import begin
    from deephpo.cli.provenance import write_config
    from deephpo.drivers.durations import DEFAULT, parse_durations

    options = resolve(arguments)
    durations = parse_durations(arguments.duration or DEFAULT, options.seed)
    keep = options.run_dir is not None
    session = begin(arguments.problem, options, options.run_dir, keep, arguments.workers, real_time=False)
    if session.directory is not None:
        write_config(session, session.directory, f"simulated, {arguments.workers} workers")
    exit_code, clock = play(session, arguments.workers, durations, arguments.duration is None)
    figures = _figures(session, clock)
    if arguments.json:
        print(json.dumps(figures))
    else:
        _show(session, figures)
    return exit_code


def play(
    session: Session, workers: int, durations: Callable[[int], float], problem_decides: bool
) -> tuple[int, MasterClock]:
    """Run a session in virtual time; returns the exit code, and the clock with the master's share in it."""
    from deephpo.cli.signals import StopButton, listening
    from deephpo.drivers.simulated import SimulatedDriver
    from deephpo.engine.suggester import InlineSuggester
    from deephpo.storage.publisher import Publisher
    from deephpo.worker.workplace import Workplace

    session.real_time = False
    directory, button = session.directory, StopButton()
    until_s = session.options.time_limit_s or float("inf")
    with tempfile.TemporaryDirectory(prefix="deephpo-") as scratch, listening(button):
        workplace = Workplace(session.target, str(directory.trials.resolve()) if directory else scratch)
        driver = SimulatedDriver(workplace, workers, durations, problem_decides, until_s)
        suggester = InlineSuggester(session.search, session.sizing)
        exit_code = session.run(driver, suggester, _watchers(session), workers=workers, listen=button.connect)
        if directory is not None:
            Publisher(directory).publish(session.state)
    return exit_code if directory is not None else _in_itself(exit_code, session, button), driver.clock


def _in_itself(exit_code: int, session: Session, button: StopButton) -> int:
    """Return the exit code of a simulation that nothing is kept of: there is nothing to resume."""
    from deephpo.cli.failures import INTERRUPTED
    from deephpo.storage.records import CAN_BE_RESUMED, ENDED_AS_ASKED, NOTHING_SUCCEEDED

    if exit_code != CAN_BE_RESUMED:
        return exit_code
    if button.pressed:
        return INTERRUPTED
    return ENDED_AS_ASKED if session.state.best is not None else NOTHING_SUCCEEDED


def _watchers(session: Session) -> list[Watcher]:
    """Show a person how far it is; stdout is for the figures alone."""
    from deephpo.cli.progress import Progress, is_terminal

    trials, limit_s = session.options.trials, session.options.time_limit_s
    return [Progress(sys.stderr, trials, limit_s, virtual=True)] if is_terminal(sys.stderr) else []


def _figures(session: Session, clock: MasterClock) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    state = session.state
    settled = [trial for trial in state.ended if trial.state is not TrialState.PREEMPTED]
    # Hashes are enough, and of the texts: -1 and -2 have the same hash, but not "-1" and "-2".
    configs = {hash(repr(sorted(trial.config.items()))) for trial in settled}
    busy = clock.utilisation
    return {
        "problem": session.declaration.name,
        "search": session.options.search,
        "seed": session.options.seed,
        "workers": len(state.workers),
        "trials": state.done,
        "distinct": len(configs),
        "best": None if state.best is None else state.best.value,
        "utilisation": None if busy is None else round(busy, 5),
        "startup_s": round(clock.startup_s, 3),
        "virtual_s": round(state.now_s, 3),
        "master_cpu_s": round(clock.cpu_s, 3),
        "cpu_ms_per_trial": round(1000 * clock.cpu_s / max(1, state.done), 4),
    }


def _show(session: Session, figures: dict[str, Any]) -> None:
    from deephpo.report.summary import best_table, clock, figure, thrift_line

    cpu_s, cpu_ms = figures["master_cpu_s"], figures["cpu_ms_per_trial"]
    options, finished, busy = session.options, session.state.finished, figures["utilisation"]
    after = "" if busy is None else f", busy {100 * busy:.2f} % of the time from their second trials on"
    rows = {
        "search": f"{options.search}, seed {options.seed}",
        "ended": finished.reason if finished is not None else "",
        "trials": f"{figures['trials']}, {figures['distinct']} distinct",
        "workers": f"{figures['workers']}{after}",
        "start-up": f"{figures['startup_s']:.3g} s until the last worker had its first trial",
        "virtual time": clock(figures["virtual_s"]),
        "master": f"{cpu_s:.2f} CPU seconds, {cpu_ms:.2f} ms a trial",
        "best": "no trial has succeeded" if figures["best"] is None else figure(figures["best"]),
    }
    print("\n".join(f"{name:<14}{text}" for name, text in rows.items()))
    if thrift := thrift_line(session.state):
        print(thrift)
    if session.state.best is not None:
        print("\n" + "\n".join(best_table(session.state, top=5)))
