import dataclasses
import os

import numpy as np
import pytest
from matplotlib import image

from deephpo.report.picture import draw
from deephpo.storage.records import WorkerJoined
from deephpo.storage.run_state import RunState


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


FAILED = "c8553d"

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
