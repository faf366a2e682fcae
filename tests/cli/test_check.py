"""``deephpo check``: what a search would see is shown or refused, and nothing is run."""

import re

import pytest

SOURCE = """
import os, sys
from deephpo import Between, Categorical, Fidelity, Float, Integer, Problem, Space

def run(config, ctx):
    open({witness!r}, "w").write("it ran")

problem = Problem(
    Space([
        Float("lr", 1e-5, 1e-1, log=True, default=1e-3),
        Categorical("optimizer", ["sgd", "adam"], default="adam"),
        Float("momentum", 0.0, 0.99, step=0.01, when={{"optimizer": "sgd"}}, default=0.9),
        Integer("width", 4, 64, default=8, when={{"lr": Between(1e-4, 1e-2)}}),
    ], forbidden=[{{"optimizer": "sgd", "width": [4, 5]}}, {{"momentum": 0.5}}]),
    run,
    objective="error",
    direction="maximize",
    fidelity=Fidelity("epoch", 12),
    start=[{{"optimizer": "sgd"}}],
)
"""


def test_a_check_shows_what_a_search_would_see(problem_file, tmp_path, said):
    shown = said("check", problem_file(SOURCE.format(witness=str(tmp_path / "witness"))))
    for expected in (
        "task: maximize error",
        "reports against epoch, up to 12",
        "1e-05 to 0.1, log",
        "0 to 0.99, step 0.01",
        "optimizer = sgd",
        "lr from 0.0001 to 0.01",
        "never tried together:\n  optimizer = sgd and width in 4, 5\n  momentum = 0.5\n",
        "the defaults: lr=0.001 optimizer=adam width=8",
        "start[0]: lr=0.001 optimizer=sgd momentum=0.9 width=8",
    ):
        assert expected in shown
    assert shown.endswith("The problem can be searched.\n")


def test_each_default_stands_beside_its_parameter(problem_file, said):
    source = """
        from deephpo import Categorical, Float, Problem

        space = [
            Float("x", 0.0, 1.0, default=0.25),
            Float("y", 0.0, 1.0),
            Categorical("many", [f"choice {k}" for k in range(5000)]),
            Categorical("none", [None, "a"], default=None),
        ]
        problem = Problem(space, lambda config: 0.0, start=[{"x": 1.0, "y": 0.5, "many": "choice 7"}])
    """
    shown = said("check", problem_file(source))
    columns = [re.split(r"  +", line.strip()) for line in shown.splitlines()]
    rows = {cells[0]: cells for cells in columns}
    assert [rows[name][3] for name in ("x", "y", "none")] == ["0.25", "-", "None"]
    assert rows["many"][2].endswith("... (5000 choices)")
    assert "  start[0]: x=1 y=0.5 many=choice 7 none=None\n" in shown
    assert max(map(len, shown.splitlines())) < 130


@pytest.mark.parametrize(("choices", "end"), [(5, "激活函数4"), (6, "激活函数4, 激... (6 choices)")])
def test_choices_take_no_more_columns_of_a_terminal_than_there_are(choices, end, problem_file, said):
    source = f"""
        from deephpo import Categorical, Problem

        space = [Categorical("kind", [f"激活函数{{k}}" for k in range({choices})])]
        problem = Problem(space, lambda config: 0.0)
    """
    [row] = [line for line in said("check", problem_file(source)).splitlines() if "激活函数0, " in line]
    assert re.split(r"  +", row.strip())[2] == f"激活函数0, 激活函数1, 激活函数2, 激活函数3, {end}"


def test_a_check_runs_nothing_and_writes_nothing(problem_file, tmp_path, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said("check", problem_file(SOURCE.format(witness=str(tmp_path / "witness"))))
    assert {path.name for path in tmp_path.iterdir()} <= {"task.py", "__pycache__"}


def test_a_problem_is_found_by_its_module_and_by_its_name(problem_file, tmp_path, said, refusal, monkeypatch):
    source = SOURCE.format(witness="") + "\nsecond = problem\n"
    problem_file(source, "study.py")
    monkeypatch.chdir(tmp_path)
    assert said("check", "study") == said("check", "study.py:second")
    assert "defines no 'third'" in refusal("check", "study:third")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere.py", "There is no file nowhere.py"),
        ("nowhere", "no module 'nowhere'"),
        ("os.path", "defines no 'problem'"),
        (".", "no module '.'"),
        ("", "no module ''"),
        ("./", ". is a directory"),
        ("./file.txt", "file.txt is no Python file"),
    ],
)
def test_what_is_no_problem_is_refused(target, told, refusal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").touch()
    assert told in refusal("check", target)


def test_an_error_in_the_file_is_told_with_its_line(problem_file, refusal):
    path = problem_file("from deephpo import Float\n\nspace = [Float('x', 3.0, 1.0)]\n")
    assert "task.py, line 3: " in refusal("check", path)


RANKS = """
from deephpo import Categorical, Float, Problem
problem = Problem([Float("x", 0.0, 1.0), Categorical("wide", [False, True])], print, ranks=lambda c: {ranks})
"""


def test_the_ranks_of_a_trial_are_asked_for(problem_file, said):
    shown = said("check", problem_file(RANKS.format(ranks="4 if c['wide'] else 2")))
    assert "trains each trial on 2 to 4 ranks\n" in shown


def test_ranks_that_are_none_are_found(problem_file, refusal):
    told = refusal("check", problem_file(RANKS.format(ranks="c['wide'] / 2")))
    assert "ranks(config) must return a whole number from 1 on" in told
