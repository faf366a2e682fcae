import json
import math
from pathlib import Path

import pytest

from deephpo.storage.journal import Journal, read_journal
from deephpo.storage.records import (
    Asked,
    Begun,
    Ended,
    Finished,
    Ignored,
    Judged,
    Learned,
    Observation,
    Promoted,
    Record,
    Reported,
    Resumed,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
    from_dict,
    to_dict,
)
from deephpo.trial import Outcome, Report, Trial, TrialState

CONFIG = {"lr": 0.1 + 0.2, "layers": 3, "optimizer": "säd\n", "nesterov": True, "schedule": None}
RECORDS = [
    Begun(0.0, "0.1.0", "head", "/p/demo.py", {"name": "demo", "space": [{}]}, {"seed": {"value": 7}}),
    Resumed(0.0, "0.1.1", "other", {"name": "demo", "space": [{}]}, {"seed": {"value": 7}}),
    Learned(0.0, "runs/first", (Observation(CONFIG, 0.5), Observation({"lr": 1e-5}, None))),
    WorkerJoined(0.25, 1, "node1"),
    WorkerLost(1.5, 1, "no heartbeat"),
    Asked(2.0, 3),
    Suggested(2.5, (Trial(0, CONFIG, seed=11), Trial(1, {"lr": 1e-5})), exhausted=True),
    Started(3.0, 0, 1),
    Reported(3.5, Report(0, 4, {"loss": 0.5, "acc": 1e-300})),
    Ended(4.0, 1, Outcome(0, TrialState.COMPLETED, 0.5, {"loss": 0.5})),
    Ended(4.0, 1, Outcome(0, TrialState.FAILED, reason="ValueError: no", detail="Traceback\n  line")),
    Ended(4.0, 1, Outcome(0, TrialState.PREEMPTED, reason="the time is up")),
    Ignored(4.5, 1, 0, "it came after its worker's lease had run out"),
    Finished(5.0, "the time is up", 75),
]
NEWER = [
    Ended(4.25, 1, Outcome(0, TrialState.STOPPED, 0.5, {"steps": 4.0}, "at epoch 4, 0.5 is bad")),
    Ended(4.25, 1, Outcome(0, TrialState.STOPPED, reason="at epoch 1, the loss is NaN", detail="Traceback")),
    Judged(5.5, 0, "at epoch 4, 0.5 is not among the best 2 of 4 trials (0.25)"),
    Promoted(5.75, 0),
]


def through_json(record):
    return from_dict(json.loads(json.dumps(to_dict(record), allow_nan=False)))


@pytest.mark.parametrize("record", [*RECORDS, *NEWER], ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_json_as_it_was(record):
    back = through_json(record)
    assert back == record
    assert type(back) is type(record)


def test_no_kind_of_record_is_left_out_above():
    assert {type(record) for record in [*RECORDS, *NEWER]} == set(Record.__args__)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_metric_that_is_no_finite_number_survives_strict_json(value):
    reported = through_json(Reported(0.0, Report(0, 1, {"loss": value, "acc": 0.5})))
    outcome = Outcome(0, TrialState.FAILED, metrics={"loss": value}, reason="loss is nan")
    ended = through_json(Ended(0.0, 1, outcome))
    for metrics in (reported.report.metrics, ended.outcome.metrics):
        assert str(metrics["loss"]) == str(value)
    assert reported.report.metrics["acc"] == 0.5


def test_a_state_comes_back_as_a_member():
    ends = [record for record in [*RECORDS, *NEWER] if isinstance(record, Ended)]
    states = [through_json(record).outcome.state for record in ends]
    assert states == [
        TrialState.COMPLETED,
        TrialState.FAILED,
        TrialState.PREEMPTED,
        TrialState.STOPPED,
        TrialState.STOPPED,
    ]
    assert all(isinstance(state, TrialState) for state in states)


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.PREEMPTED])
def test_an_end_that_has_no_value_but_says_one_is_no_record(state):
    line = to_dict(Ended(4.25, 1, Outcome(0, TrialState.STOPPED, 0.5)))
    line["outcome"]["state"] = state.value
    with pytest.raises(ValueError, match="has no value, but here it is"):
        from_dict(line)


def test_times_are_kept_to_the_microsecond():
    assert through_json(Asked(1 / 3, 1)).time_s == 0.333333


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"kind": "Vanished", "time_s": 0.0},
        {"kind": "Asked", "time_s": 0.0},
        {"kind": "Asked", "time_s": 0.0, "q": 1, "colour": "red"},
        {"kind": "Learned", "time_s": 0.0, "source": "runs/first", "observations": [{"config": {}}]},
        {"kind": "Suggested", "time_s": 0.0, "trials": [{"id": -1, "config": {}}], "exhausted": False},
        {
            "kind": "Ended",
            "time_s": 0.0,
            "worker": 1,
            "outcome": {"trial_id": 0, "state": "lost", "metrics": {}},
        },
        {"kind": "Reported", "time_s": 0.0, "report": {"trial_id": 0, "step": 1, "metrics": {"loss": "low"}}},
    ],
    ids=["empty", "unknown", "short", "long", "observation", "trial", "state", "metric"],
)
def test_a_line_that_is_no_record_is_refused(line):
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_dict(line)


def test_the_lines_of_a_journal_are_what_they_always_were(tmp_path):
    """Byte for byte: runs of earlier versions are resumed, and earlier versions read the runs of this one."""
    records = [*RECORDS, Reported(5.25, Report(0, 1, {"loss": math.inf, "acc": -math.inf})), *NEWER]
    always = Path(__file__).with_name("every_kind.jsonl")
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(records)
    journal.close()
    assert (tmp_path / "journal.jsonl").read_bytes() == always.read_bytes()
    assert list(read_journal(always)) == records


def test_names_and_choices_that_all_trials_share_are_kept_once():
    line = json.dumps(to_dict(Suggested(2.5, (Trial(0, {"optimizer": "rmsprop", "lr": 0.5}),), False)))
    first, second = (from_dict(json.loads(line)).trials[0].config for _ in range(2))
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert first["optimizer"] is second["optimizer"]


class TestTrialsOfSeveralWorkers:
    GANG = Started(3.0, 0, 4, (1, 7))
    SUGGESTED = Suggested(2.5, (Trial(0, CONFIG, seed=11, ranks=3), Trial(1, {"lr": 1e-5})), exhausted=False)

    @pytest.mark.parametrize("record", [GANG, SUGGESTED], ids=["started", "suggested"])
    def test_their_records_come_back_as_they_were(self, record):
        back = through_json(record)
        assert back == record
        assert hash(through_json(self.GANG)) == hash(self.GANG)  # a tuple again, and no list

    def test_a_line_names_the_others_and_the_ranks_only_where_there_are_several(self):
        assert to_dict(self.GANG) == {
            "kind": "Started",
            "time_s": 3.0,
            "trial_id": 0,
            "worker": 4,
            "others": [1, 7],
        }
        assert [trial.get("ranks") for trial in to_dict(self.SUGGESTED)["trials"]] == [3, None]

    def test_of_one_worker_the_lines_are_those_of_the_versions_before(self):
        line = json.dumps(to_dict(Started(3.0, 0, 1, ())))
        assert line == '{"kind": "Started", "time_s": 3.0, "trial_id": 0, "worker": 1}'
        line = json.dumps(to_dict(Suggested(2.5, (Trial(0, {"lr": 0.5}, 11, ranks=1),), False)))
        assert line == (
            '{"kind": "Suggested", "time_s": 2.5, "trials": '
            '[{"id": 0, "config": {"lr": 0.5}, "seed": 11, "value": null}], "exhausted": false}'
        )

    def test_all_workers_of_a_start_stand_with_the_first_in_front(self):
        assert self.GANG.workers == (4, 1, 7)
        assert Started(3.0, 0, 4).workers == (4,)

    def test_a_trial_on_no_worker_is_no_record(self):
        line = to_dict(self.SUGGESTED)
        line["trials"][0]["ranks"] = 0
        with pytest.raises(ValueError, match="needs a worker at least"):
            from_dict(line)
