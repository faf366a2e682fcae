import json
from dataclasses import replace

import pytest

from deephpo import Float, Space
from deephpo.report.summary import (
    as_json,
    best_configuration,
    best_table,
    clock,
    configuration_line,
    counts_line,
    failure_lines,
    figure,
    front_lines,
    full_summary,
    promotion_line,
    table,
)
from deephpo.storage.records import Begun, Ended, Finished, Started, Suggested, WorkerJoined
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Trial, TrialState
from tests.report.judged import judged


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (59.6, "1:00"),
        (750, "12:30"),
        (3599.5, "1:00:00"),
        (10_950, "3:02:30"),
        (360_000, "100:00:00"),
    ],
)
def test_a_time_span_reads_like_a_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1e-300, "1e-300"),
        (-12345.678, "-1.235e+04"),
        (123456, "123456"),
        (True, "True"),
        (None, "None"),
        ("adam", "adam"),
    ],
)
def test_a_value_is_shown_in_four_digits(value, text):
    assert figure(value) == text


def test_a_configuration_fits_on_a_line():
    config = {"lr": 0.00123456, "layers": 3, "optimizer": "adam"}
    assert configuration_line(config) == "lr=0.001235 layers=3 optimizer=adam"


def test_numbers_stand_right_and_texts_left():
    assert table(["name", "value"], [["a", "10"], ["long name", "5"]], [False, True]) == [
        "  name       value",
        "  ---------  -----",
        "  a             10",
        "  long name      5",
    ]


def test_columns_stay_columns_where_characters_are_twice_as_wide():
    assert table(["名前", "value"], [["Größe", "大"], ["大きさ", "5"]], [False, True]) == [
        "  名前    value",
        "  ------  -----",
        "  Größe      大",
        "  大きさ      5",
    ]


def test_the_counts_name_only_what_there_is(run_records):
    assert counts_line(RunState(run_records(0.3, "no", 0.2, 0.1))) == (
        "4 trials in 0:02: 3 completed, 1 failed · 120.0/min · workers busy 100 %"
    )
    assert counts_line(RunState(run_records(0.3, workers=1))).startswith("1 trial in 0:01: 1 completed")
    assert counts_line(RunState()) == "0 trials in 0:00: none ended · 0.0/min · workers busy 0 %"


@pytest.mark.parametrize(("direction", "first"), [("minimize", "0.1"), ("maximize", "0.9")])
def test_the_best_table_begins_with_the_best_and_shows_so_many(run_records, direction, first):
    lines = best_table(RunState(run_records(0.5, 0.1, "no", 0.9, direction=direction)), top=2)
    assert lines[0].split() == ["trial", "loss", "lr", "optimizer", "momentum"]
    assert len(lines) == 4
    assert lines[2].split()[1] == first


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_several_best_values_the_one_that_came_first_is_the_best_everywhere(run_records, direction):
    records = run_records(None, None, None, finished=False, workers=3, direction=direction)
    records += [
        Ended(2.0, 1 + k, Outcome(k, TrialState.COMPLETED, value)) for k, value in [(2, 0.5), (0, 0.5)]
    ]
    state = RunState(records)
    assert [line.split()[0] for line in best_table(state, top=2)[2:]] == ["2", "0"]
    assert best_configuration(state)[0].startswith("Best: loss = 0.5, trial 2 ")
    told = as_json(state, top=1)
    assert told["top"] == [told["best"]]


def test_an_inactive_parameter_is_a_dash(run_records):
    lines = best_table(RunState(run_records(0.5, 0.1)), top=5)
    assert lines[-1].split() == ["0", "0.5", "0.0001", "adam", "-"]


def test_a_table_that_would_be_too_wide_says_what_it_lacks(declaration):
    names = [f"parameter_{k:02}" for k in range(30)]
    space = Space([Float(name, 0.0, 1.0) for name in names])
    about = replace(declaration, space=space).to_dict()
    trial = Trial(0, dict.fromkeys(names, 1 / 7))
    state = RunState(
        [
            Begun(0.0, "0.1.0", "head", "demo.py", about, {}),
            WorkerJoined(0.0, 1, "a"),
            Suggested(0.0, (trial,), False),
            Started(0.0, 0, 1),
            Ended(1.0, 1, Outcome(0, TrialState.COMPLETED, 0.5)),
        ]
    )
    lines = best_table(state, top=5)
    assert max(map(len, lines)) <= 102
    shown = lines[0].count("parameter_")
    assert 0 < shown < 30
    assert lines[-1] == f"  ({30 - shown} more parameters in results.csv)"


def test_where_a_trial_was_stopped_each_has_its_state(run_records):
    records = [
        replace(record, outcome=replace(record.outcome, state=TrialState.STOPPED))
        if isinstance(record, Ended) and record.outcome.trial_id == 1
        else record
        for record in run_records(0.5, 0.1)
    ]
    header, _, first, second = best_table(RunState(records), top=5)
    assert header.split() == ["trial", "loss", "state", "lr", "optimizer", "momentum"]
    assert first.split()[:3] == ["1", "0.1", "stopped"]
    assert second.split()[:3] == ["0", "0.5", "completed"]


def test_the_best_configuration_is_shown_at_full_precision(run_records):
    assert best_configuration(RunState(run_records(0.5, 0.1 + 0.2))) == [
        "Best: loss = 0.30000000000000004, trial 1 on worker 2 (node2)",
        "  lr         0.0002",
        "  optimizer  'sgd'",
        "  momentum   0.0078125",
    ]


def test_the_front_says_what_is_large_and_what_is_small(run_records):
    state = RunState(judged(run_records(0.5, 0.75, 0.625), "pace:also=max:acc"))
    assert front_lines(state) == [
        "Pareto front of loss (minimize) and acc (maximize):",
        "  trial   loss   acc",
        "  -----  -----  ----",
        "      0    0.5     0",
        "      2  0.625  0.25",
    ]


def test_where_one_in_the_front_was_stopped_each_has_its_state(run_records):
    returned = [{"ms": 3.0}, {"ms": 2.0}]
    state = RunState(judged(run_records(0.5, 0.75), "pace:also=max:acc ms", returned, stopped=[1]))
    assert front_lines(state) == [
        "Pareto front of loss (minimize), acc (maximize) and ms (minimize):",
        "  trial  loss  state        acc  ms",
        "  -----  ----  ---------  -----  --",
        "      0   0.5  completed      0   3",
        "      1  0.75  stopped    0.125   2",
    ]


@pytest.mark.parametrize(("trials", "shown", "more"), [(10, 10, []), (13, 10, ["  ... and 3 more"])])
def test_ten_of_a_front_are_shown_the_best_first_and_the_others_counted(run_records, trials, shown, more):
    state = RunState(judged(run_records(*(k / 16 for k in range(trials))), "pace:also=max:acc"))
    rows = front_lines(state)[3:]
    assert [row.split()[0] for row in rows[:shown]] == [str(k) for k in range(10)]
    assert rows[shown:] == more
    assert len(as_json(state, top=1)["front"]) == trials


def test_a_front_of_nobody_says_so(run_records):
    state = RunState(judged(run_records(0.5), "pace:also=latency"))
    assert front_lines(state) == [
        "Pareto front of loss (minimize) and latency (minimize): no trial has all of them."
    ]


def test_the_front_stands_between_the_best_trials_and_the_best_configuration(run_records):
    lines = full_summary(RunState(judged(run_records(0.5, 0.75), "pace:also=max:acc")), top=5)
    front = lines.index("Pareto front of loss (minimize) and acc (maximize):")
    best = next(place for place, line in enumerate(lines) if line.startswith("Best: "))
    assert lines[front - 1] == lines[best - 1] == ""
    assert lines[front - 5].split() == ["trial", "loss", "lr", "optimizer", "momentum"]
    assert best == front + 6


def test_with_one_objective_nothing_is_said_of_a_front(run_records):
    alone, two = (RunState(judged(run_records(0.5, 0.75), rule)) for rule in ("pace", "pace:also=max:acc"))
    without_front = [line for line in full_summary(two, top=5) if line not in front_lines(two)]
    assert front_lines(alone) == []
    assert [line for line in full_summary(alone, top=5) if line] == [line for line in without_front if line]
    assert "front" not in as_json(alone, top=5)


@pytest.mark.parametrize(
    ("promote", "promoted", "told"),
    [
        (False, [], ""),
        (True, [], "Promoted: no stopped trial."),
        (True, [1], "Promoted: 1 stopped trial went on from its checkpoint."),
        (True, [1, 0], "Promoted: 2 stopped trials went on from their checkpoints."),
        (False, [1], "Promoted: 1 stopped trial went on from its checkpoint."),
    ],
)
def test_with_promote_it_says_how_many_stopped_trials_went_on(run_records, promote, promoted, told):
    records = judged(run_records(0.5, 0.75), "asha", stopped=[0, 1])
    options = {**records[0].options, "promote": {"value": promote, "origin": "command line"}}
    state = RunState([replace(records[0], options=options), *records[1:]])
    for trial_id in promoted:
        state.apply(Started(2.0, trial_id, 1))
        state.apply(Ended(3.0, 1, Outcome(trial_id, TrialState.COMPLETED, 0.25)))
    assert promotion_line(state) == told
    assert [line for line in full_summary(state, top=5) if "Promoted" in line] == ([told] if told else [])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], []),
        (["d"], ["  and 1 more kind"]),
        (["d", "e", "d"], ["  and 2 more kinds"]),
    ],
)
def test_three_kinds_of_failures_are_shown_the_most_frequent_first_and_the_others_counted(
    run_records, more, told
):
    lines = failure_lines(RunState(run_records("a", "a", "b", "b", "b", 0.5, "c", "c", "c", "c", *more)))
    assert lines == [
        "  4 x c (trial 6 on node1)",
        "  3 x b (trial 2 on node1)",
        "  2 x a (trial 0 on node1)",
        *told,
    ]


def test_the_full_summary_has_everything_worth_knowing(run_records):
    text = "\n".join(full_summary(RunState(run_records(0.5, "ValueError: no", 0.25)), top=5))
    for part in (
        "3 trials",
        "Ended: all trials are done.",
        "1 x ValueError: no",
        "Best: loss = 0.25, trial 2",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (
            "stopped by SIGUSR1",
            "Ended: stopped by SIGUSR1 (the batch system's warning that the time is nearly up).",
        ),
        ("stopped by SIGTERM", "Ended: stopped by SIGTERM."),
    ],
)
def test_the_signal_of_batch_systems_is_put_in_plain_words_for_people_alone(run_records, reason, shown):
    state = RunState([*run_records(0.5, finished=False), Finished(2.0, reason, 75)])
    assert shown in full_summary(state, top=5)
    assert as_json(state, top=5)["finished"] == reason


@pytest.mark.parametrize("ends", [(), ("no", "no")])
def test_a_run_without_a_success_says_so(run_records, ends):
    assert full_summary(RunState(run_records(*ends)), top=5)[-1] == "  No trial has succeeded."


def test_the_json_holds_the_same_in_strict_json(run_records):
    state = RunState(run_records(0.5, "no", 0.25, None, finished=False))
    told = json.loads(json.dumps(as_json(state, top=1), allow_nan=False))
    best = {"trial": 2, "value": 0.25, "worker": 1, "host": "node1"}
    assert {name: told[name] for name in ("trials", "completed", "failed", "preempted", "running")} == {
        "trials": 3,
        "completed": 2,
        "failed": 1,
        "preempted": 0,
        "running": 1,
    }
    assert told["best"] == {**best, "config": {"lr": 1e-4 * 3, "optimizer": "adam"}}
    assert told["top"] == [told["best"]]
    assert (told["finished"], told["exit_code"], told["elapsed_s"]) == (None, None, 2.0)


def test_the_json_of_several_objectives_holds_the_front(run_records):
    state = RunState(judged(run_records(0.5, 0.75, 0.625), "pace:also=max:acc", stopped=[2]))
    told = json.loads(json.dumps(as_json(state, top=3), allow_nan=False))
    best, third, _ = told["top"]
    assert told["front"] == [
        {**best, "state": "completed", "metrics": {"acc": 0.0}},
        {**third, "state": "stopped", "metrics": {"acc": 0.25}},
    ]


def test_the_json_of_nothing_is_json_too():
    told = json.loads(json.dumps(as_json(RunState(), top=5), allow_nan=False))
    assert (told["trials"], told["best"], told["top"], told["problem"]) == (0, None, [], None)
