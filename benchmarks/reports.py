"""What it costs the master to judge trials by their reports, and what a stream of reports costs their number.

    python benchmarks/reports.py [--running 10000] [--rule RULE] [--rate 1000] [--workers 8] [--repeats 3]

First without MPI: so many trials run and report in turn, and what the coordinator does about a report is
timed, beside the share of it that is the rule's.  Then over real MPI, in turn with reports and without:
trials of one second that sleep but for their reports, all together so many a second, which a rule judges and
the journal keeps; what counts is how many trials a second there are.  Prints the CPU time per report, and the
throughput with reports in per cent of that without.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from pathlib import Path

from mpi_job import search_over_mpi

from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import SuggestionsMade, TrialReported, WorkerReady
from deephpo.engine.terms import Terms
from deephpo.stopping.create import DEFAULT_RULE, create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Reported
from deephpo.storage.run_state import RunState
from deephpo.trial import Report, Trial

STEPS = 50
SPARING = "threshold:at=1,value=9"
"""A rule that stops nobody, so that all trials do the same."""

PROBLEM = """
import time
from deephpo import Fidelity, Float, Problem

STEPS = {steps}

def run(config, ctx):
    began_s = time.monotonic()
    for step in range(1, STEPS + 1):
        time.sleep(max(0.0, began_s + step / STEPS - time.monotonic()))
        if {reporting}:
            ctx.report(step, loss=config["x"] / step)
    return config["x"] / STEPS

problem = Problem([Float("x", 0.0, 1.0)], run, "loss", fidelity=Fidelity("step", STEPS))
"""


def judging_ms(running: int, rule: str | None) -> float:
    """Return the CPU milliseconds that a report costs the coordinator while so many trials run."""
    subject = Subject("loss", last_step=STEPS)
    judge = Judge(None if rule is None else create_rule(rule, subject), subject)
    coordinator = Coordinator(Terms(), judge=judge)
    trials = tuple(Trial(k, {"x": k}) for k in range(running))
    coordinator.handle([WorkerReady(k, f"host{k // 4}") for k in range(running)], 0.0)
    coordinator.handle([SuggestionsMade(trials, exhausted=False)], 0.0)
    spent_s = 0.0
    for step in range(1, STEPS + 1):
        # Better and worse curves, some of which cross.
        losses = [
            1.0 + math.sin(k) + math.exp(-step * (1.1 + math.cos(2 * k)) / STEPS) for k in range(running)
        ]
        events = [TrialReported(k, Report(k, step, {"loss": loss})) for k, loss in enumerate(losses)]
        began_s = time.process_time()
        for event in events:
            coordinator.handle([event], float(step))
        spent_s += time.process_time() - began_s
    return 1000 * spent_s / (running * STEPS)


def trials_per_s(workers: int, rate: float, reporting: bool) -> tuple[float, float]:
    """Return how many trials a second a search over MPI gets done, and how many reports."""
    with tempfile.TemporaryDirectory() as scratch:
        problem = Path(scratch) / "sleeping.py"
        steps = max(1, round(rate / workers))
        problem.write_text(PROBLEM.format(steps=steps, reporting=reporting))
        options = ("--search", "random", "--trials", str(8 * workers), "--stop", SPARING)
        run = search_over_mpi(workers, problem, Path(scratch) / "run", *options)
        records = list(read_journal(run.journal))
        state = RunState(records)
    starts = [trial.started_s or 0.0 for trial in state.trials.values()]
    elapsed_s = state.now_s - min(starts)
    reports = sum(isinstance(record, Reported) for record in records)
    return state.done / elapsed_s, reports / elapsed_s


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--running", type=int, default=10_000)
    parser.add_argument("--rule", default=DEFAULT_RULE)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rule = options.rule
    with_rule = statistics.median(judging_ms(options.running, rule) for _ in range(options.repeats))
    without = statistics.median(judging_ms(options.running, None) for _ in range(options.repeats))
    print(f"{options.running:,} running trials, {rule}: {with_rule:.4f} ms of CPU time a report,")
    print(f"of which {with_rule - without:.4f} ms are the rule's (asked: 0.2 ms)")
    throughputs: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(options.repeats):
        for reporting in (True, False):
            trials, reports = trials_per_s(options.workers, options.rate, reporting)
            throughputs[reporting].append(trials)
            print(f"{options.workers} workers, {reports:7.1f} reports a second: {trials:.3f} trials a second")
    kept = statistics.median(throughputs[True]) / statistics.median(throughputs[False])
    print(f"throughput with reports: {100 * kept:.1f} % of that without (asked: 95 %)")


if __name__ == "__main__":
    main()
