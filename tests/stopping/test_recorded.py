"""Recorded curves: from a run's journal, and from CSV files, right ones and wrong ones."""

import math

import pytest

from deephpo.errors import OptionError, RunDirectoryError
from deephpo.stopping.recorded import read_recording
from deephpo.storage.journal import Journal
from deephpo.storage.records import Begun, Ended, Reported, Started, Suggested, WorkerJoined
from deephpo.storage.run_directory import RunDirectory
from deephpo.trial import Outcome, Report, Trial, TrialState


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file of curves, and returns its path."""

    def write(*lines):
        path = tmp_path / "curves.csv"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture
def run(declaration, tmp_path):
    """Return a function that writes a journal of four trials that begins with a declaration."""

    def write(*records, **changes):
        about = {**declaration.to_dict(), **changes}
        directory = RunDirectory(tmp_path / "run")
        directory.create()
        journal = Journal(directory.journal)
        trials = tuple(Trial(k, {"lr": 0.1, "optimizer": "adam"}) for k in range(4))
        journal.append(
            [
                Begun(0.0, "0.1.0", "head", "demo.py", about, {}),
                WorkerJoined(0.0, 1, "node1"),
                Suggested(0.0, trials, False),
                *records,
            ]
        )
        journal.close()
        return directory.path

    return write


def report(time_s, trial, step, loss):
    return Reported(time_s, Report(trial, step, {"loss": loss, "acc": 1 - loss}))


def ended(time_s, trial, state=TrialState.COMPLETED):
    return Ended(time_s, 1, Outcome(trial, state, 0.5 if state is TrialState.COMPLETED else None))


def test_a_file_holds_trials_in_the_order_of_their_first_lines(file):
    path = file(
        "trial,step,acc,seconds", "7,1,0.5,2.0", "3,1,0.25,1", "", "7,2,,4.5", "7,3,0.75,7", "3,2,nan,2"
    )
    recording = read_recording(path, "maximize", None)
    first, second = recording.trials
    assert (recording.name, recording.subject.metric, recording.timed) == ("curves", "acc", True)
    assert (first.id, first.steps, first.seconds) == (7, [1, 2, 3], [2.0, 4.5, 7.0])
    assert first.losses[0] == -0.5
    assert math.isnan(first.losses[1])
    assert first.metrics[2] == {"acc": 0.75}
    assert (second.id, second.best, recording.best) == (3, -0.25, -0.75)
    assert (recording.steps, recording.seconds) == (5, 9.0)


def test_without_seconds_steps_are_the_time(file):
    recording = read_recording(file("trial,step,loss", "0,2,0.5", "0,4,0.25"), "minimize", None)
    assert not recording.timed
    assert recording.trials[0].seconds == [2.0, 4.0]


def test_steps_may_count_from_0_as_those_of_ctx_report(file):
    lines = [f"{trial},{step},{trial + 1 / (step + 1)}" for trial in range(2) for step in range(3)]
    recording = read_recording(file("trial,step,loss", *lines), "minimize", None)
    assert [list(trial.steps) for trial in recording.trials] == [[0, 1, 2], [0, 1, 2]]
    assert (recording.subject.last_step, recording.steps, recording.seconds) == (2, 4, 4.0)


@pytest.mark.parametrize(("said", "last_step"), [(None, 4), (4, 4), (9, 9)])
def test_the_last_step_is_the_longest_curves_unless_it_is_said(said, last_step, file):
    path = file("trial,step,loss", "0,4,0.5", "1,3,0.25")
    assert read_recording(path, "minimize", said).subject.last_step == last_step


WRONG = {
    "line 1: a file of curves begins with the names of its columns, trial,step,VALUE or": [
        "id,epoch,acc",
        "1,1,1",
    ],
    "begins with the names of its columns, trial,step,VALUE or trial,step,VALUE,seconds, not ''": [],
    "holds no curves: its first line is its only one": ["trial,step,acc"],
    "line 3: a line has 3 columns as the first one does, not 2": ["trial,step,acc", "1,1,1", "1,2"],
    "line 2: trial must be a whole number, not 'a'": ["trial,step,acc", "a,1,1"],
    "line 2: step must be a whole number, not '1.5'": ["trial,step,acc", "1,1.5,1"],
    "line 2: value must be a number, not 'good'": ["trial,step,acc", "1,1,good"],
    "line 2: seconds must be a number, not ''": ["trial,step,acc,seconds", "1,1,1,"],
    "line 4: the steps of a trial count from 0 or 1, and rise, but trial 1 goes from 2 to 2": [
        *("trial,step,acc", "1,2,1", "2,2,1", "1,2,1"),
    ],
    "line 3: seconds count from the trial's start and rise, but those of trial 1 go from 9 to 8": [
        *("trial,step,acc,seconds", "1,1,1,9", "1,2,1,8"),
    ],
    "line 2: the steps of a trial count from 0 or 1, and rise, but trial 7 begins with -1": [
        *("trial,step,acc", "7,-1,1"),
    ],
    "no trial has reported beyond step 0, so there is nothing to spare": ["trial,step,acc", "1,0,1", "2,0,1"],
    "no trial that was trained to its end has a acc": ["trial,step,acc", "1,1,nan", "1,2,inf"],
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_file_is_refused_with_its_line(sentence, file):
    with pytest.raises(OptionError) as caught:
        read_recording(file(*WRONG[sentence]), "maximize", None)
    assert sentence in str(caught.value)
    assert "curves.csv" in str(caught.value)


def test_what_is_no_file_of_text_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"There is no run directory and no file .*absent"):
        read_recording(tmp_path / "absent", "minimize", None)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(OptionError, match=r"picture\.png cannot be read as text"):
        read_recording(tmp_path / "picture.png", "minimize", None)


def test_a_file_needs_a_direction_and_a_last_step_that_fits(file):
    path = file("trial,step,acc", "0,4,0.5")
    with pytest.raises(
        OptionError, match=r"whether 'acc' is better small or large: add --direction minimize or"
    ):
        read_recording(path, None, None)
    with pytest.raises(
        OptionError, match=r"--last-step must be at least 4, the longest curve's last one, not 3\."
    ):
        read_recording(path, "maximize", 3)


def test_a_run_gives_the_curves_of_trials_that_ended_by_themselves(run):
    path = run(
        *(Started(1.0, 0, 1), report(2.0, 0, 1, 0.75), report(4.0, 0, 2, 0.5), ended(5.0, 0)),
        *(Started(5.0, 1, 1), report(6.0, 1, 1, 0.125), ended(7.0, 1, TrialState.FAILED)),
        *(Started(7.0, 2, 1), report(8.0, 2, 1, 0.0625), ended(9.0, 2, TrialState.STOPPED)),
        *(Started(9.0, 3, 1), ended(9.5, 3)),
        fidelity={"name": "epoch", "high": 3},
    )
    recording = read_recording(path, None, None)
    assert [(trial.id, trial.seconds, trial.completed) for trial in recording.trials] == [
        (0, [1.0, 3.0], True),
        (1, [1.0], False),
    ]
    assert recording.trials[0].metrics[1] == {"loss": 0.5, "acc": 0.5}
    assert (recording.best, recording.left_out) == (0.5, 2)
    assert (recording.subject.unit, recording.subject.last_step, recording.name) == ("epoch", 3, "demo")


def test_a_trial_that_went_out_again_counts_what_it_kept_once(run):
    path = run(
        *(Started(1.0, 0, 1), report(2.0, 0, 1, 0.8), report(4.0, 0, 2, 0.6), report(7.0, 0, 3, 0.4)),
        ended(8.0, 0, TrialState.PREEMPTED),
        *(Started(20.0, 0, 1), report(21.0, 0, 3, 0.5), report(22.0, 0, 4, 0.25), ended(23.0, 0)),
    )
    [trial] = read_recording(path, None, None).trials
    assert (trial.steps, trial.losses) == ([1, 2, 3, 4], [0.8, 0.6, 0.5, 0.25])
    assert trial.seconds == [1.0, 3.0, 4.0, 5.0]


def test_a_run_without_curves_or_with_another_direction_is_refused(run, tmp_path):
    with pytest.raises(RunDirectoryError, match="holds no run"):
        read_recording(tmp_path, None, None)
    path = run(Started(1.0, 0, 1), ended(5.0, 0))
    with pytest.raises(
        RunDirectoryError, match=r"reported 'loss'; trials do so with ctx\.report\(step, loss=\.\.\.\)"
    ):
        read_recording(path, None, None)
    with pytest.raises(OptionError, match="says itself that loss is to be minimized, not maximized"):
        read_recording(path, "maximize", None)


def test_a_file_from_a_spreadsheet_is_read_like_another(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_bytes(b"\xef\xbb\xbftrial,step,loss\r\n0,1,0.5\r\n0,2,0.4")
    assert read_recording(path, "minimize", None).trials[0].losses == [0.5, 0.4]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"0,{10**400},0.5,1", "line 2: step must be below 1e\\+15, not 1000"),
        ("0,1,0.5,1e300", "line 2: seconds count from the trial's start and rise, but .* to 1e\\+300"),
        (f"0,1,{'1' * 200_000},1", "line 2: field larger than field limit"),
    ],
)
def test_a_number_out_of_all_bounds_is_refused_with_its_line(line, sentence, file):
    with pytest.raises(OptionError, match=sentence):
        read_recording(file("trial,step,loss,seconds", line), "minimize", None)


def test_what_a_trial_says_of_steps_that_it_had_passed_is_no_part_of_its_curve(run):
    reports = [report(1.0 + k, 0, step, 0.5 - k / 10) for k, step in enumerate([2, 1, 2, 3])]
    [trial] = read_recording(run(Started(0.0, 0, 1), *reports, ended(9.0, 0)), None, None).trials
    assert (trial.steps, trial.losses) == ([2, 3], [0.5, pytest.approx(0.2)])
