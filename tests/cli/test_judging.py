"""Which rule a search has: the default of a short training, one that can stop nobody, unheard metrics."""

import pytest

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Begun, Ended
from deephpo.storage.run_directory import RunDirectory

SOURCE = """
from deephpo import Fidelity, Float, Problem

def run(config, ctx):
    for epoch in range(1, {epochs} + 1):
        ctx.report(epoch, loss=config["x"] + 1 / epoch{more})
    return config["x"] + 1 / {epochs}

problem = Problem([Float("x", 0.0, 1.0)], run, "loss", fidelity=Fidelity("epoch", {epochs}))
"""


@pytest.fixture
def searched(problem_file, said, tmp_path):
    """Return a function that searches a problem, and returns what was printed, and the journal's records."""

    def searched(epochs=8, more="", stop=None):
        path = tmp_path / "run"
        words = ["search", problem_file(SOURCE.format(epochs=epochs, more=more)), "--search", "random"]
        words += ["--seed", 1, "--trials", 6, "--workers", 1, "--run-dir", path]
        shown = said(*words, *(["--stop", stop] if stop else []))
        return shown, list(read_journal(RunDirectory(path).journal))

    return searched


@pytest.mark.parametrize(("epochs", "rule"), [(1, "diverged"), (2, "diverged"), (3, "pace + diverged")])
def test_the_default_of_a_short_training_is_what_can_act_in_it(epochs, rule, searched):
    _, records = searched(epochs)
    [begun] = [record for record in records if isinstance(record, Begun)]
    assert begun.options["stop"] == {"value": rule, "origin": "default"}


@pytest.mark.parametrize(
    ("stop", "told"),
    [
        ("asha:first=8", "'asha' can stop no trial before epoch 8, and a training is complete with epoch 8"),
        ("diverged + threshold:at=9,value=1", "'threshold' can stop no trial before epoch 9, and a training"),
        ("ASHA", "did you mean 'asha'?"),
        ("None", "did you mean 'none'?"),
    ],
)
def test_a_rule_that_can_stop_nobody_is_refused_before_the_first_trial(
    stop, told, problem_file, refusal, tmp_path
):
    run = tmp_path / "run"
    target = problem_file(SOURCE.format(epochs=8, more=""))
    assert told in refusal("search", target, "--stop", stop, "--run-dir", run)
    assert not run.exists()


def test_a_metric_that_no_trial_reports_is_said_once(searched):
    sentence = (
        "none of its reports held 'latency' beside 'loss', so it was not judged by that: "
        "ctx.report(step, loss=..., latency=...), or another metric in also="
    )
    shown, records = searched(stop="pace:also=latency + diverged")
    assert shown.count(sentence) == 1
    reasons = [record.outcome.reason for record in records if isinstance(record, Ended)]
    assert reasons == [sentence, *5 * [""]]


def test_a_metric_that_every_trial_reports_is_not_talked_about(searched):
    shown, _ = searched(more=', latency=config["x"]', stop="pace:also=latency")
    assert "none of its reports" not in shown
