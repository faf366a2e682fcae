"""What a person sees of a running search: in a terminal, and in a pipe."""

import io
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deephpo.cli.progress import Progress, configuration_within, is_terminal, status_line, time_left_s
from deephpo.storage.records import Ended, Finished, Started, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, TrialState

PROGRAM = Path(sys.executable).with_name("deephpo")

PACED = """
import time
from deephpo import Float, Problem

def run(config):
    time.sleep(0.3)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""


def shown_of(records, stream: io.StringIO | None = None, log: Path | None = None) -> list[str]:
    """Return the lines that a batch log gets of these records."""
    stream = stream or io.StringIO()
    progress, state = Progress(stream, 4, None, log), RunState()
    for record in records:
        state.apply(record)
        progress.note(record, state)
    return stream.getvalue().splitlines()


def test_each_new_best_is_one_line_and_nothing_else_is(run_records):
    lines = shown_of(run_records(0.5, 0.25, 0.75, 0.125))
    assert [line.split()[1:3] for line in lines] == [["best", "0.5"], ["best", "0.25"], ["best", "0.125"]]
    assert lines[1] == "0:01  best 0.25  trial 1  lr=0.0002 optimizer=sgd momentum=0.007812"


def test_the_first_failure_is_told_and_the_others_are_counted(run_records):
    lines = shown_of(run_records("ValueError: no", "ValueError: no", "ValueError: no", 0.5))
    assert [line.split("  ")[1] for line in lines] == ["trial 0 failed: ValueError: no", "best 0.5"]


def test_the_first_failure_says_where_its_traceback_is(run_records):
    told = shown_of(run_records("ValueError: no", 0.5), log=Path("runs/one/log.txt"))
    assert told[0] == "0:01  trial 0 failed: ValueError: no (more, and others, in runs/one/log.txt)"


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome(0, TrialState.FAILED, reason="loss is nan"), "trial 0 failed: loss is nan"),
        (Outcome(0, TrialState.STOPPED, 0.5, reason="too slow"), "trial 0 was stopped: too slow"),
    ],
)
def test_the_first_of_its_kind_says_where_the_others_are(outcome, line, run_records):
    records = [*run_records(None, None, finished=False), Ended(1.0, 1, outcome)]
    records.append(Ended(1.0, 2, replace(outcome, trial_id=1)))
    assert [told for told in shown_of(records, log=Path("log.txt")) if "best" not in told] == [
        f"0:01  {line} (others in log.txt)"
    ]
    assert f"0:01  {line}" in shown_of(records)


def test_a_lost_worker_is_told_at_once_without_its_detail(run_records):
    lost = WorkerLost(9.0, 1, "killed\nTraceback")
    assert shown_of([*run_records(0.5), lost])[-1] == "0:09  worker 1 is lost: killed"


def test_a_reader_that_goes_away_is_not_missed(run_records):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    assert shown_of(run_records(0.5, 0.25), Gone()) == []


def test_the_status_line_counts_what_a_person_asks_for(run_records):
    state = RunState(run_records(0.5, "ValueError: no", None, finished=False))
    state.now_s = 2.0
    assert status_line(state, 8, None) == (
        "0:02  2/8 done  best 0.5 (trial 0)  1 failed  0:06 left  1 running  busy 75 %  60.0/min"
    )


@pytest.mark.parametrize(
    ("width", "end"),
    [
        (87, "60.0/min"),
        (86, "busy 75 %"),
        (79, "busy 75 %"),
        (60, "0:06 left"),
        (47, "1 failed"),
        (9, "done"),
    ],
)
def test_on_a_narrow_terminal_whole_fields_are_left_out_the_last_ones_first(width, end, run_records):
    state = RunState(run_records(0.5, "ValueError: no", None, finished=False))
    state.now_s = 2.0
    line = status_line(state, 8, None, width)
    assert line.endswith(end)
    assert status_line(state, 8, None).startswith(line)
    assert len(line) <= width or end == "done"


def test_preempted_trials_are_counted_until_they_go_out_again(run_records):
    records = run_records(0.5, None, None, workers=3, finished=False)
    state = RunState([*records, Ended(1.0, 2, Outcome(1, TrialState.PREEMPTED, reason="lost"))])
    assert "  1 preempted  " in status_line(state, 8, None)
    state.apply(Started(2.0, 1, 3))
    assert "preempted" not in status_line(state, 8, None)


@pytest.mark.parametrize(
    ("cut_off", "told"),
    [
        ([], []),
        ([1], ["0:09  1 preempted trial goes out again if the search is resumed"]),
        ([1, 2], ["0:09  2 preempted trials go out again if the search is resumed"]),
    ],
)
def test_at_the_end_it_says_how_many_trials_were_cut_off_and_what_becomes_of_them(cut_off, told, run_records):
    records = run_records(0.5, None, None, workers=3, finished=False)
    records += [Ended(9.0, k, Outcome(k, TrialState.PREEMPTED, reason="Ctrl-C")) for k in cut_off]
    assert shown_of([*records, Finished(9.0, "stopped by SIGINT", 75)])[1:] == told


class Screen(io.StringIO):
    """A terminal without a person."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "end"),
    [
        (68, "lr=0.0002 optimizer=sgd momentum=0.007812"),
        (67, "lr=0.0002 optimizer=sgd …"),
        (52, "lr=0.0002 optimizer=sgd …"),
        (51, "lr=0.0002 …"),
        (30, "lr…"),
    ],
)
def test_on_a_terminal_a_configuration_ends_with_the_line_after_a_whole_parameter_if_one_fits(
    columns, end, run_records, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    line = shown_of(run_records(0.5, 0.25, finished=False), Screen())[-1].removeprefix("\x1b[K")
    assert line == f"0:01  best 0.25  trial 1  {end}"
    assert len(line) < columns


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (None, "大きさ=3 活性化=relu"),
        (20, "大きさ=3 活性化=relu"),
        (19, "大きさ=3 …"),
        (10, "大きさ=3 …"),
        (9, "大きさ=3…"),
        (8, "大きさ=…"),
        (6, "大き…"),
        (4, "大…"),
        (2, "…"),
        (1, "…"),
        (0, ""),
    ],
)
def test_a_configuration_takes_no_more_columns_than_there_are(room, shown):
    assert configuration_within({"大きさ": 3, "活性化": "relu"}, room) == shown


def test_a_file_gets_the_whole_configuration_however_narrow_the_terminal_is(run_records, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert shown_of(run_records(0.5, 0.25))[1].endswith("lr=0.0002 optimizer=sgd momentum=0.007812")


@pytest.mark.parametrize(
    ("trials", "limit_s", "left_s"),
    [(None, None, None), (8, None, 6.0), (None, 100.0, 98.0), (8, 5.0, 3.0), (2, None, 0.0), (2, 1.0, 0.0)],
)
def test_the_time_left_is_until_the_first_of_the_two_ends(trials, limit_s, left_s, run_records):
    state = RunState(run_records(0.5, 0.25, finished=False))
    state.now_s = 2.0
    assert time_left_s(state, trials, limit_s) == left_s


def test_virtual_time_is_called_so_and_says_nothing_of_the_time_left(run_records):
    state = RunState(run_records(0.5, finished=False))
    line = "virtual 0:01  1/8 done  best 0.5 (trial 0)  0 running  busy 50 %  60.0/min"
    assert status_line(state, 8, None, virtual=True) == line


def test_before_the_first_result_nobody_knows_the_time_left(run_records):
    assert time_left_s(RunState(run_records(None, finished=False)), 8, None) is None


def in_a_terminal(*words: str) -> str:
    """Return everything that a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0, written.decode()
    return written.decode()


def test_a_terminal_shows_one_line_that_is_redrawn_in_place(problem_file, tmp_path):
    words = ("--trials", "8", "--workers", "2", "--run-dir", str(tmp_path / "run"))
    written = in_a_terminal(str(PROGRAM), "search", problem_file(PACED), *words)
    drawn = re.findall(r"\r\x1b\[K(\d:\d\d  \d/8 done[^\r\n]*)", written)
    assert len(drawn) > 2
    assert max(len(line) for line in drawn) < 80
    lines = [line.rpartition("\x1b[K")[2] for line in written.split("\r\n")]
    assert not any("done" in line for line in lines if "trials are done" not in line)
    assert any(re.match(r"\d:\d\d  best ", line) for line in lines)


def test_a_pipe_gets_whole_lines_without_control_characters(problem_file, tmp_path):
    words = ("--trials", "4", "--workers", "2", "--run-dir", str(tmp_path / "run"))
    line = [PROGRAM, "search", problem_file(PACED), *words]
    shown = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert re.search(r"^0:\d\d  best ", shown, re.MULTILINE)


def test_a_stream_that_is_no_terminal_is_none():
    assert not is_terminal(io.StringIO())
