"""``deephpo replay``: rules on recorded curves, in words, as JSON and as a picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from deephpo.stopping.create import RULES

TABLES = Path(__file__).parents[2] / "benchmarks" / "tables"
CIFAR = ("replay", TABLES / "cifar100_curves.csv", "--direction", "maximize")


@pytest.fixture
def curves(tmp_path):
    """Return a file of ten curves, the best of which is the eighth."""
    path = tmp_path / "curves.csv"
    lines = [f"{t},{k},{min(t, 7) - 0.1 * t + 0.1 * k:.3f}\n" for t in range(10) for k in range(1, 9)]
    path.write_text("trial,step,score\n" + "".join(lines))
    return path


def test_the_published_order_gives_the_published_figures(said):
    shown = said(*CIFAR, "--rule", "compound:beta=0.1", "--rule", "asha:eta=2", "--orders", 0)
    assert "cifar100_curves: 42 trials, 4,200 steps, 92:41:22 in all" in shown
    rows = [" ".join(line.split()) for line in shown.splitlines() if line.startswith("  ")]
    assert rows[2] == "compound:beta=0.1 27 of 42 9.3 % 8.4 % kept 0.6761 0"
    assert rows[3] == "asha:eta=2 20 of 42 37.6 % 30.9 % kept 0.6761 0"
    assert "random orders" not in shown


def test_json_has_every_figure_and_every_stop(said):
    words = (*CIFAR, "--rule", "asha:eta=3", "--orders", 20, "--seed", 4, "--workers", 8, "--json")
    shown = json.loads(said(*words))
    [judged] = shown["rules"]
    assert (shown["trials"], shown["best"], shown["best_trial"], shown["last_step"]) == (42, 0.6761, 28, 100)
    stops = judged["recorded"]["stops"]
    assert len(stops) == judged["recorded"]["stopped"] > 0
    assert {stop["step"] for stop in stops} <= {3, 9, 27, 81}
    assert all(stop["reason"] for stop in stops)
    assert 0 < judged["orders"]["steps_saved"]["mean"] < 1
    assert judged["orders"]["orders"] == 20
    assert json.loads(said(*words)) == shown
    one_after_the_other = json.loads(said(*(word for word in words if word not in ("--workers", 8))))
    assert one_after_the_other["rules"] != shown["rules"]


def test_without_seconds_no_time_is_claimed(said, curves):
    words = ("replay", curves, "--direction", "maximize", "--rule", "median", "--orders", 5)
    text, figures = said(*words), json.loads(said(*words, "--json"))
    assert "10 trials, 80 steps\n" in text
    assert figures["seconds"] is None
    assert figures["rules"][0]["recorded"]["time_saved"] is None
    assert figures["rules"][0]["orders"]["time_saved"] is None


def test_a_finished_run_is_replayed_by_its_own_words(said, problem_file, tmp_path):
    source = """
        from deephpo import Fidelity, Float, Problem

        def run(config, ctx):
            for epoch in range(1, 9):
                ctx.report(epoch, loss=config["x"] + 1 / epoch)
            return config["x"] + 1 / 8

        problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss", fidelity=Fidelity("epoch", 8))
        """
    path = tmp_path / "run"
    said(
        "search",
        problem_file(source),
        "--trials",
        12,
        "--workers",
        1,
        "--search",
        "random",
        "--run-dir",
        path,
    )
    shown = said("replay", path, "--rule", "asha:eta=2")
    assert "task: 12 trials, 96 epochs, 0:0" in shown
    assert "minimize" in shown
    assert "epochs saved" in shown


def test_without_a_rule_the_one_that_a_search_has_by_itself_is_tried(said, curves):
    words = ("replay", curves, "--direction", "maximize", "--orders", 5)
    shown, figures = said(*words), json.loads(said(*words, "--json"))
    assert "the rule is the one that a search has by itself, pace + diverged\n" in shown
    assert [rule["rule"] for rule in figures["rules"]] == ["pace + diverged"]
    named = said(*words, "--rule", "pace + diverged")
    assert named == shown.replace("the rule is the one that a search has by itself, pace + diverged\n", "")
    assert figures == json.loads(said(*words, "--rule", "pace + diverged", "--json"))


@pytest.mark.parametrize("rule", [*RULES, "asha:first=1"])
def test_curves_that_begin_at_step_0_are_replayed(rule, said, tmp_path):
    """As Keras' CSVLogger counts; the first rung at step 1 is every trial's second report then."""
    path = tmp_path / "curves.csv"
    lines = [f"{t},{k},{10 - t + 0.1 * k:.3f}\n" for t in range(10) for k in range(30)]
    path.write_text("trial,step,score\n" + "".join(lines))
    options = ":at=3,value=5" if rule == "threshold" else ""
    words = ("replay", path, "--direction", "maximize", "--rule", rule + options, "--orders", 3, "--json")
    shown = json.loads(said(*words))
    assert (shown["last_step"], shown["steps"]) == (29, 290)
    stops = [stop["step"] for stop in shown["rules"][0]["recorded"]["stops"]]
    assert all(0 <= step < 29 for step in stops)
    assert rule != "asha:first=1" or 1 in stops


@pytest.mark.parametrize(
    "rules", [["asha:eta=3"], ["asha:eta=3", "median"], ["asha:eta=3", "median", "compound"]]
)
def test_the_picture_shows_the_curves(rules, said, tmp_path):
    path = tmp_path / "replay.png"
    words = [word for rule in rules for word in ("--rule", rule)]
    said(*CIFAR, *words, "--orders", 3, "--plot", path)
    picture = image.imread(path)[..., :3]
    ink = np.abs(picture - np.array([0x1B, 0x2A, 0x41]) / 255).max(axis=-1) < 0.02
    stopped = np.abs(picture - np.array([0xC8, 0x55, 0x3D]) / 255).max(axis=-1) < 0.15
    assert ink.sum() > 1000
    assert stopped.sum() > 100
    assert list(tmp_path.iterdir()) == [path]


def test_the_picture_is_named_and_only_if_there_is_one(said, curves, tmp_path):
    words = ("replay", curves, "--direction", "maximize", "--orders", 0)
    path = tmp_path / "replay.png"
    assert said(*words, "--plot", path).endswith(f"\n\nPicture: {path}\n")
    assert json.loads(said(*words, "--plot", path, "--json"))["plot"] == str(path)
    assert "Picture" not in said(*words)
    assert json.loads(said(*words, "--json"))["plot"] is None


def test_mistakes_are_refused_in_a_sentence(refusal, curves, tmp_path):
    ours = ("replay", curves, "--direction", "maximize")
    assert "'asha' can stop no trial before step 8, and a training is complete with step 8" in refusal(
        *ours, "--rule", "asha:first=8"
    )
    assert (
        "The rule 'pace:also=latency' judges by latency beside score, but no recorded report holds all of "
        "them; there are: score."
    ) in refusal(*ours, "--rule", "pace", "--rule", "pace:also=latency")
    assert "There is no stopping rule 'ashe'; did you mean 'asha'?" in refusal(*ours, "--rule", "ashe")
    assert "--orders must be at least 0, not -1" in refusal(*ours, "--rule", "asha", "--orders", -1)
    assert "--workers must be at least 1, not 0" in refusal(*ours, "--rule", "asha", "--workers", 0)
    assert "There is no run directory and no file" in refusal("replay", tmp_path / "no", "--rule", "asha")
    assert "better small or large" in refusal("replay", curves, "--rule", "asha")
    plot = tmp_path / "no" / "replay.png"
    assert "replay.png cannot be written" in refusal(*ours, "--rule", "median", "--orders", 0, "--plot", plot)
