import dataclasses
import os
import time

import numpy as np
import pytest
from matplotlib import image

from deephpo.report.picture import _one_a_pixel, draw
from deephpo.storage.records import WorkerJoined
from deephpo.storage.run_state import RunState, TrialEntry, WorkerEntry
from deephpo.trial import TrialState


@pytest.fixture
def pixels(tmp_path):
    """Return a function that draws a state, and reads the picture back."""

    def pixels(state):
        draw(state, tmp_path / "search.png")
        assert os.listdir(tmp_path) == ["search.png"]
        return image.imread(tmp_path / "search.png")

    return pixels


def has_colour(picture, hexadecimal, tolerance=0.01):
    wanted = np.array([int(hexadecimal[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return bool((np.abs(picture[..., :3] - wanted).max(axis=-1) < tolerance).any())


FAILED, NO_VALUE = "c8553d", "a9a39a"


@pytest.fixture
def crowd(declaration):
    """Return a function that makes a state of many short trials, of which some failed at once."""

    def crowd(trials, workers, failed=()):
        state = RunState()
        state.declaration, state.now_s = declaration, trials / workers
        state.workers = {worker: WorkerEntry("node", 0.0) for worker in range(1, workers + 1)}
        for k in range(trials):
            begun_s, kind = k // workers, TrialState.FAILED if k in failed else TrialState.COMPLETED
            entry = TrialEntry(k, {"lr": 0.01}, kind, worker=1 + k % workers, started_s=begun_s)
            entry.value, entry.ended_s = (None, begun_s + 1e-3) if k in failed else (1 / (k + 1), begun_s + 1)
            state.trials[k] = entry
            state.counts[kind] += 1
        return state

    return crowd


RUNS = {
    "normal": ((0.9, 0.5, 0.7, 0.2, 0.3, 0.1), {}),
    "maximise": ((0.9, 0.5, 0.7, 0.2, 0.3, 0.1), {"direction": "maximize"}),
    "still running": ((0.9, 0.5, None, None), {"finished": False}),
    "one trial": ((0.5,), {}),
    "the same value": ((0.5, 0.5, 0.5), {}),
    "many decades": ((1e8, 1.0, 1e-8), {}),
    "below zero": ((-3.0, 0.0, 1e3), {}),
    "100 workers": ([k / 200 for k in range(200)], {"workers": 100}),
    "minutes": ([1 / (k + 1) for k in range(240)], {"workers": 1}),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_drawn_at_a_reasonable_size(pixels, run_records, name):
    ends, options = RUNS[name]
    picture = pixels(RunState(run_records(*ends, **options)))
    height, width, _ = picture.shape
    assert width == 1300
    assert 500 <= height <= 1000
    assert picture[..., :3].std() > 0.02
    assert not has_colour(picture, FAILED)


@pytest.mark.parametrize("ends", [("no", "no"), ("no", 0.5, "no", 0.3)])
def test_failed_trials_stand_out(pixels, run_records, ends):
    assert has_colour(pixels(RunState(run_records(*ends))), FAILED)


def share(picture, hexadecimal):
    """Return the share of the lower half, where the timeline is, that has exactly this colour."""
    wanted = np.array([int(hexadecimal[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    lower = picture[picture.shape[0] // 2 :, :, :3]
    return float((np.abs(lower - wanted).max(axis=-1) < 0.003).mean())


def test_one_failure_that_took_no_time_is_seen_among_thousands(pixels, crowd):
    without, one = crowd(5000, 8), crowd(5000, 8, failed={2501})
    one.counts[TrialState.FAILED] = 0  # the legend would be red too
    assert share(pixels(without), FAILED) == 0.0
    assert share(pixels(one), FAILED) > 0.0


def test_failures_are_as_red_in_a_crowd_as_in_the_legend(pixels, crowd):
    half = share(pixels(crowd(40_000, 20, failed=set(range(0, 40_000, 3)))), FAILED)
    assert half > 0.2


@pytest.mark.parametrize("trials", [40, 5000])  # wide bars, and such as are narrower than a pixel
def test_the_bars_of_stopped_trials_are_slim(trials, pixels, crowd):
    def blue(state):
        """Return the share of the lower half that is as blue as bars are, the colour bar beside them too."""
        lower = pixels(state)[400:, :, :3]
        return float((lower[..., 2] - lower[..., 0] > 0.05).mean())

    whole, stopped, none = crowd(trials, 8), crowd(trials, 8), crowd(trials, 8)
    for entry in stopped.trials.values():
        entry.state = TrialState.STOPPED
    for entry in none.trials.values():
        entry.started_s = None
    scale = blue(none)
    assert blue(stopped) - scale == pytest.approx((blue(whole) - scale) * 0.3 / 0.8, rel=0.15)


def test_how_many_were_stopped_is_said_where_there_are_any(pixels, run_records):
    def counted(kind):
        state = RunState(run_records(0.5, 0.3))
        state.counts.update([kind, TrialState.PREEMPTED])  # no bars: what differs is the legend
        return pixels(state)

    without = counted(TrialState.COMPLETED)
    changed = np.abs(counted(TrialState.STOPPED) - without).max(axis=-1) > 0.05
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert changed.sum() > 100
    assert len(rows) < 40  # one line of text
    assert rows.min() > without.shape[0] / 2
    assert columns.min() > without.shape[1] / 2


def test_a_hundred_thousand_trials_are_drawn_in_seconds(pixels, crowd):
    state = crowd(100_000, 64, failed=set(range(0, 100_000, 50)))
    began = time.monotonic()
    assert pixels(state).shape[1] == 1300
    assert time.monotonic() - began < 10


def test_bars_that_begin_in_one_pixel_are_drawn_once():
    row, left = np.array([0.0, 0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.4, 0.4, 1.0, 1.1])
    chosen = _one_a_pixel(np.array([True, True, True, True, False]), row, left, 1.0)
    assert sorted(chosen) == [0, 2, 3]


def test_grey_is_explained_where_there_is_any(pixels, run_records):
    assert not has_colour(pixels(RunState(run_records(0.5, 0.3))), NO_VALUE)
    assert has_colour(pixels(RunState(run_records(0.5, None, finished=False))), NO_VALUE)
    over = RunState(run_records(0.5, 0.3))
    over.counts[TrialState.PREEMPTED] = 1  # no bar: what is grey is in the legend
    assert has_colour(pixels(over), NO_VALUE)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_text_of_a_late_best_does_not_squeeze_the_axes(pixels, run_records, direction):
    def width(*ends):
        """Return how long the longest black line is: the time axis."""
        picture = pixels(RunState(run_records(*ends, workers=1, direction=direction)))
        return int((picture[..., :3].max(axis=-1) < 0.1).sum(axis=1).max())

    values = [0.123456 + k / 10 for k in range(8)]
    assert width(*values) == width(*values[::-1]) > 900


def test_a_run_that_has_only_begun_is_drawn(pixels, run_records):
    assert pixels(RunState(run_records())).shape[1] == 1300


def test_nothing_at_all_is_drawn_as_nothing(pixels):
    assert pixels(RunState()).shape[1] == 1300


def test_the_known_optimum_is_drawn(pixels, run_records):
    state = RunState(run_records(0.9, 0.5, 0.7))
    state.declaration = dataclasses.replace(state.declaration, optimum=0.0)
    assert has_colour(pixels(state), FAILED, tolerance=0.1)


def test_more_workers_make_a_taller_picture_up_to_a_limit(pixels, run_records):
    heights = [pixels(RunState(run_records(0.5, 0.3, workers=w))).shape[0] for w in (1, 8, 64, 1000)]
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_a_worker_that_never_got_a_trial_has_an_empty_row(pixels, run_records):
    records = run_records(0.5, 0.3)
    lonely = RunState([*records, WorkerJoined(1.0, 3, "late")])
    assert pixels(lonely).shape[0] > pixels(RunState(records)).shape[0]


def test_names_with_signs_of_mathematics_are_drawn_as_they_are(pixels, run_records):
    state = RunState(run_records(0.5, 0.3))
    state.declaration = dataclasses.replace(
        state.declaration, name=r"cost in $ and \frac{$", objective="a$^$b_{"
    )
    assert pixels(state).shape[1] == 1300
