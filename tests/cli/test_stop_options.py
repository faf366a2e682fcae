"""How trials and searches end early, from the command line: what is refused, and what is remembered."""

import shlex
from pathlib import Path

import pytest

from deephpo.cli.main import main
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Begun, Finished, Judged, Resumed
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

CURVES = """
import time
from deephpo import Fidelity, Float, Problem

def run(config, ctx):
    for epoch in range(1, 9):
        ctx.report(epoch, loss=config["x"] + 1 / epoch)
        if epoch == 2:
            wait_for_word(ctx)
    return config["x"]

def wait_for_word(ctx):
    for _ in range({looks}):
        if ctx.stopped:
            return
        time.sleep(0.01)

problem = Problem([Float("x", 0.0, 1.0)], run, "loss", {fidelity})
"""


@pytest.fixture
def curves(problem_file):
    """Return a function that writes a problem which reports eight times.

    looks: so often it looks in epoch 2 whether it is to stop.
    """

    def write(fidelity='fidelity=Fidelity("epoch", 8)', looks=0):
        return problem_file(CURVES.format(fidelity=fidelity, looks=looks))

    return write


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


def of(directory, kind):
    return [record for record in read_journal(directory.journal) if isinstance(record, kind)]


@pytest.mark.parametrize("verb", ["search", "simulate"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--stop bogus", "There is no stopping rule 'bogus'. Known: "),
        ("--stop 'asha + bogus'", "There is no stopping rule 'bogus'. Known: "),
        ("--stop none+asha", "'none' stands alone and cannot be joined with a stopping rule"),
        ("--stop ''", "There is no stopping rule ''. Known: "),
        ("--stop asha:bogus=1", "The stopping rule 'asha' has no option 'bogus'; it takes eta, "),
        ("--stop asha:eta=1", "eta must be a number from 1.1 to 1000"),
        ("--stop threshold:at=3", "The stopping rule 'threshold' must be told value"),
        ("--stop asha --stop pace", "say it once; join rules with +: --stop 'asha + pace'."),
        ("--stop asha --stop none", "--stop is said twice, as 'asha' and as 'none': say it once."),
        ("--stopped-value worst", "Argument --stopped-value: invalid choice: 'worst' (choose from"),
        ("--goal low", "Argument --goal: invalid number value: 'low'"),
        ("--goal nan", "--goal must be a finite number, not nan."),
        ("--goal=-inf", "--goal must be a finite number, not -inf."),
        ("--plateau 0", "--plateau must be at least 1, not 0."),
        ("--node-hours 0", "--node-hours must be a finite number above 0, not 0."),
        ("--node-hours inf", "--node-hours must be a finite number above 0, not inf."),
        ("--node-hours=-2", "--node-hours must be a finite number above 0, not -2."),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure_and_leaves_nothing_behind(
    verb, line, told, curves, refusal, tmp_path, monkeypatch
):
    target = curves()
    monkeypatch.chdir(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts)
    assert told in refusal(verb, target, *shlex.split(line), "--trials", 1, "--run-dir", "deep/run")
    assert sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts) == before


def test_a_rule_that_must_know_how_long_a_training_is_says_how_to_tell_it(curves, refusal, tmp_path):
    run = tmp_path / "run"
    told = refusal("search", curves(""), "--stop", "median", "--run-dir", run)
    assert 'Problem(..., fidelity=Fidelity("epoch", 50))' in told
    assert not run.exists()


@pytest.mark.parametrize(
    ("fidelity", "line", "rule", "origin"),
    [
        ('fidelity=Fidelity("epoch", 8)', "", "pace + diverged", "default"),
        ("", "", "none", "default"),
        ('fidelity=Fidelity("epoch", 8)', "--stop none", "none", "command line"),
        ("", "--stop asha:first=2", "asha:first=2", "command line"),
    ],
)
def test_the_journal_says_which_rule_it_was(curves, said, directory, fidelity, line, rule, origin):
    words = ["search", curves(fidelity), "--trials", 1, "--search", "random", *line.split()]
    said(*words, "--run-dir", directory.path)
    (begun,) = of(directory, Begun)
    assert begun.options["stop"] == {"value": rule, "origin": origin}
    assert begun.options["stopped_value"] == {"value": "best", "origin": "default"}


def test_a_goal_ends_a_search_and_one_that_is_resumed_may_want_more(curves, said, directory):
    words = ["search", curves(), "--search", "random", "--seed", 1, "--workers", 1, "--stop", "none"]
    said(*words, "--goal", 0.5, "--run-dir", directory.path)
    state = RunState(read_journal(directory.journal))
    assert state.best.value <= 0.5
    assert of(directory, Finished)[-1].reason.startswith("the goal of 0.5 is reached, with ")
    done = state.done
    # At its goal it has nothing to do.
    said("resume", directory.path)
    assert RunState(read_journal(directory.journal)).done == done
    said("resume", directory.path, "--goal", 0.01, "--plateau", 30)
    state = RunState(read_journal(directory.journal))
    assert state.done > done
    finished = of(directory, Finished)[-1]
    assert (finished.exit_code, finished.reason.partition(",")[0]) in (
        (0, "the goal of 0.01 is reached"),
        (0, f"30 trials in a row were no better than {state.best.value:g}"),
    )
    assert of(directory, Resumed)[-1].options["goal"] == {"value": 0.01, "origin": "command line"}


def test_a_resumed_search_may_have_another_rule_and_what_was_stopped_stays_so(curves, said, directory):
    words = ["search", curves(looks=25), "--search", "random", "--seed", 1, "--workers", 1, "--trials", 6]
    said(*words, "--stop", "threshold:at=2,value=0.9", "--run-dir", directory.path)
    before = RunState(read_journal(directory.journal))
    stopped = {entry.id: entry.value for entry in before.ended if entry.state is TrialState.STOPPED}
    assert 0 < len(stopped) < 6
    assert len(of(directory, Judged)) == len(stopped)
    said("resume", directory.path, "--trials", 9, "--stop", "none")
    after = RunState(read_journal(directory.journal))
    assert {entry.id: entry.value for entry in after.ended if entry.state is TrialState.STOPPED} == stopped
    assert after.counts[TrialState.COMPLETED] == 9 - len(stopped)
    said("resume", directory.path, "--trials", 12, "--stop", "threshold:at=1,value=0.0")
    last = RunState(read_journal(directory.journal))
    assert last.counts[TrialState.STOPPED] == len(stopped) + 3


def test_a_resume_with_a_rule_that_cannot_be_leaves_the_journal_as_it_was(curves, said, directory, refusal):
    said("search", curves(), "--search", "random", "--trials", 2, "--run-dir", directory.path)
    before = directory.journal.read_bytes()
    assert "no stopping rule 'bogus'" in refusal("resume", directory.path, "--trials", 4, "--stop", "bogus")
    assert "--plateau must be at least 1" in refusal("resume", directory.path, "--plateau", 0)
    assert directory.journal.read_bytes() == before


def test_a_search_of_which_everything_was_stopped_has_succeeded(curves, directory, capsys):
    words = ["simulate", curves(), "--search", "random", "--trials", "3", "--workers", "1"]
    words += ["--stop", "threshold:at=1,value=0.0", "--run-dir", str(directory.path)]
    assert main(words) == 0
    state = RunState(read_journal(directory.journal))
    assert state.counts == {TrialState.STOPPED: 3}
    assert state.best.value == pytest.approx(min(entry.config["x"] for entry in state.ended) + 1)
    assert Path(directory.table).read_text().count(",stopped,") == 3
