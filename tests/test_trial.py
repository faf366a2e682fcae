import dataclasses
import json

import pytest

from deephpo.trial import Outcome, Report, Trial, TrialState


def test_a_trials_id_counts_from_zero():
    assert Trial(0, {}).id == 0
    with pytest.raises(ValueError, match="counts from 0, but it is -1"):
        Trial(-1, {})


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (Trial(0, {"x": 1}), "config"),
        (Report(0, 1, {"loss": 0.5}), "step"),
        (Outcome(0, TrialState.FAILED), "state"),
    ],
)
def test_what_flows_is_frozen(value, field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.PREEMPTED])
def test_a_trial_that_was_not_to_end_has_no_value(state):
    assert Outcome(3, state, reason="why").value is None
    with pytest.raises(ValueError, match=f"A trial that {state} has no value, but here it is 0.5"):
        Outcome(3, state, 0.5)


def test_a_trial_that_completed_has_a_value():
    assert Outcome(3, TrialState.COMPLETED, 0.0).value == 0.0
    with pytest.raises(ValueError, match=r"A trial that completed has a value\."):
        Outcome(3, TrialState.COMPLETED)


@pytest.mark.parametrize("value", [0.0, None])
def test_a_trial_that_was_stopped_may_have_a_value(value):
    assert Outcome(3, TrialState.STOPPED, value).value == value


@pytest.mark.parametrize("state", TrialState)
def test_a_state_is_a_plain_word_in_json(state):
    assert TrialState(json.loads(json.dumps(state))) is state
