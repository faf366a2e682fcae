"""A worker's child in the engine's words."""

import time
from multiprocessing.connection import wait

import pytest

from deephpo.drivers.keeper import Keeper, assignments
from deephpo.engine.events import Start, TrialEnded, WorkerReady
from deephpo.hardware.devices import share_out, visible_devices
from deephpo.trial import Trial, TrialState
from deephpo.worker.workplace import Workplace

SOURCE = """
import os, sys
from deephpo import Float, Problem

def run(config, ctx):
    {deed}
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


@pytest.fixture
def outcome_of(problem_file, tmp_path):
    """Return a function that lets a trial do something; interrupted: after its rank was told to end."""
    keepers = []

    def outcome_of(deed, interrupted):
        workplace = Workplace(problem_file(SOURCE.format(deed=deed)), str(tmp_path))
        (devices,) = share_out([visible_devices()], share=True)
        keepers.append(keeper := Keeper(1, workplace, 1.0, devices, lambda workers, meeting: None))
        events_until(keeper, WorkerReady)
        ((_, assignment),) = assignments(workplace, Start(1, Trial(0, {"x": 0.5})), ("here",))
        keeper.submit(assignment)
        if interrupted:
            keeper.interrupt()
        return events_until(keeper, TrialEnded)[-1].outcome

    yield outcome_of
    for keeper in keepers:
        keeper.send_home()
        while not keeper.is_home():
            time.sleep(0.01)


def events_until(keeper, kind):
    events, deadline_s = [], time.monotonic() + 30
    while not any(isinstance(event, kind) for event in events):
        assert time.monotonic() < deadline_s
        wait(keeper.sources, 0.05)
        events += keeper.poll()
    return events


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("sys.exit(143)", "run() called sys.exit(143)"),
        ("raise RuntimeError('SIGTERM')", "RuntimeError: SIGTERM"),
        ("os._exit(143)", "the trial's process exited with code 143"),
        ("return float('nan')", "objective is nan"),
    ],
)
def test_a_trial_that_leaves_in_its_own_way_when_its_job_ends_is_preempted(outcome_of, deed, reason):
    left, broke = (outcome_of(deed, interrupted) for interrupted in (True, False))
    assert (broke.state, broke.reason) == (TrialState.FAILED, reason)
    assert (left.state, left.reason) == (TrialState.PREEMPTED, f"its job was ending: {reason}")
    assert (left.detail == "") == (broke.detail == "")


def test_a_value_counts_although_the_job_is_ending(outcome_of):
    outcome = outcome_of("pass", interrupted=True)
    assert (outcome.state, outcome.value, outcome.reason) == (TrialState.COMPLETED, 0.5, "")
