import re
import sys

import pytest

from deephpo import Problem
from deephpo.errors import ProblemError
from deephpo.worker.loading import load_problem, name_of, split_target

GOOD = """
from deephpo import Float, Problem, Space

def run(config):
    return config["x"]

problem = Problem(Space([Float("x", 0, 1)]), run, objective="loss")
other = Problem(Space([Float("y", 0, 1)]), run, objective="error")
number = 5
"""
HEAD = "from deephpo import Categorical, Float, Problem, Space\ndef run(config): return 0.0\n"


@pytest.fixture(autouse=True)
def _same_imports(monkeypatch):
    """Undo what loading does to this process; in real life it happens in a child."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def sentence_of(target):
    with pytest.raises(ProblemError) as caught:
        load_problem(target)
    return str(caught.value)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("problem.py", ("problem.py", "problem")),
        ("dir/task.py:best", ("dir/task.py", "best")),
        ("package.module", ("package.module", "problem")),
        ("package.module:best", ("package.module", "best")),
        (":best", (":best", "problem")),
    ],
)
def test_a_target_is_a_place_and_a_name(target, parts):
    assert split_target(target) == parts


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("runs/digits.cnn.py", "digits.cnn"),
        ("digits.py:big", "digits"),
        ("problems.digits:big", "digits"),
        ("digits", "digits"),
    ],
)
def test_a_run_is_called_as_the_file_or_the_modules_last_name(target, name):
    assert name_of(target) == name


@pytest.mark.parametrize(("suffix", "objective"), [("", "loss"), (":problem", "loss"), (":other", "error")])
def test_a_problem_is_found_in_a_file_by_its_name(problem_file, suffix, objective):
    problem = load_problem(problem_file(GOOD) + suffix)
    assert isinstance(problem, Problem)
    assert problem.declaration.objective == objective


@pytest.mark.parametrize("target", ["pack.inner", "pack.inner:other"])
def test_a_problem_is_found_in_a_module_below_the_working_directory(
    problem_file, tmp_path, monkeypatch, target
):
    (tmp_path / "pack").mkdir()
    problem_file(GOOD, "pack/inner.py")
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_problem(target), Problem)


def test_a_file_may_import_what_lies_beside_it(problem_file, tmp_path):
    problem_file("SPAN = 7.0", "neighbour_of_task.py")
    source = "from neighbour_of_task import SPAN\n" + HEAD + 'problem = Problem([Float("x", 0, SPAN)], run)'
    declaration = load_problem(problem_file(source)).declaration
    assert declaration.space.parameters[0].high == 7.0


@pytest.mark.parametrize(
    ("suffix", "sentence"),
    [
        (
            ":missing",
            "task.py defines no 'missing', but 'problem' and 'other': say which, as in {target}:problem.",
        ),
        (":number", "task.py: 'number' must be a Problem, but it is a int."),
        (":run", "task.py: 'run' must be a Problem, but it is a function."),
    ],
)
def test_a_name_that_is_no_problem_is_refused(problem_file, suffix, sentence):
    target = problem_file(GOOD)
    assert sentence_of(target + suffix).endswith(sentence.format(target=target))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("", "; end it with: problem = Problem(space, run, objective='...')."),
        ("a", ", but 'a': say that, as in {target}:a."),
        ("ab", ", but 'a' and 'b': say which, as in {target}:a."),
    ],
)
def test_a_file_without_a_problem_of_that_name_says_which_others_it_has(problem_file, names, told):
    lines = [f"{name} = Problem([Float('x', 0, 1)], run)\n" for name in names]
    target = problem_file(HEAD + "".join(lines))
    assert sentence_of(target) == f"{target} defines no 'problem'{told.format(target=target)}"


@pytest.mark.parametrize("place", ["task.py", "no.py", "json"])
def test_nothing_after_the_colon_is_no_name(place):
    assert sentence_of(f"{place}:") == (
        f"Nothing follows the colon of '{place}:': name a Problem there, as in {place}:problem, or leave the "
        "colon out."
    )


@pytest.mark.parametrize("target", ["missing.py", "dir/missing", "missing.py:best"])
def test_a_file_that_is_not_there_is_refused(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    place = target.removesuffix(":best")
    assert sentence_of(target) == f"There is no file {place}."


@pytest.mark.parametrize("target", ["no_such_module", "no_such_package.module", "os.no_such_module"])
def test_a_module_that_is_not_there_is_refused(target):
    assert sentence_of(target) == (
        f"There is no module {target!r}, nor a file of that name; a file is named with its .py."
    )


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = 1\n\ndef run(:\n", 3, "SyntaxError: invalid syntax"),
        ("def run(config):\nreturn 1\n", 2, "IndentationError: expected an indented block"),
        ("x = 1\nimport no_such_package_at_all\n", 2, "No module named 'no_such_package_at_all'"),
        ("x = 1\n\nraise RuntimeError\n", 3, "RuntimeError."),
        ("x = 1\nraise SystemExit(4)\n", 2, "SystemExit: 4."),
        ("\n1 / 0\n", 2, "ZeroDivisionError: division by zero."),
        (f"{HEAD}problem = Problem([Float('x', 1, 0)], run)", 3, "swap them"),
        (f"{HEAD}problem = Problem([Float('x', 0, 1, log=True)], run)", 3, "log=True needs low above 0"),
        (
            f"{HEAD}problem = Problem([Float('x', 0, 1, lgo=True)], run)",
            3,
            "unexpected keyword argument 'lgo'",
        ),
        (f"{HEAD}problem = Problem([Float('x', 0, 1)], run, dirction='maximize')", 3, "'dirction'"),
        (f"{HEAD}problem = Problem([Float('x', 0, 1)], run, direction='up')", 3, "'minimize' or 'maximize'"),
        (f"{HEAD}problem = Problem([Float('x', 0, 1, when={{'y': 1}})], run)", 3, "'y'"),
        (
            f"{HEAD}problem = Problem([Float('x', 0, 1)])",
            3,
            "a problem is Problem(space, run, objective='...')",
        ),
        (f"{HEAD}problem = Problem([Float('x', 0, 1)], lambda: 0)", 3, "run must take (config, ctx)"),
        (
            "from deephpo import *\nproblem = Problem([Float('x', 0, 1)], run)",
            2,
            "name 'run' is not defined; define run(config, ctx) above the problem.",
        ),
    ],
)
def test_a_wrong_file_gives_one_sentence_with_file_and_line(problem_file, source, line, words):
    sentence = sentence_of(problem_file(source))
    assert re.match(rf"\S*task\.py, line {line}: ", sentence)
    assert words in sentence
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "\n" not in sentence


@pytest.mark.parametrize("content", [b"x = '\xff'\n", b"x = 1\0\n"])
def test_a_file_that_is_no_text_is_named(tmp_path, content):
    (tmp_path / "task.py").write_bytes(content)
    assert re.match(r"\S*task\.py\b.*: SyntaxError: ", sentence_of(str(tmp_path / "task.py")))


def test_the_line_is_that_of_the_users_own_innermost_call(problem_file):
    source = "import json\n\ndef read():\n    return json.loads('{')\n\nread()\n"
    assert re.match(r"\S*task\.py, line 4: JSONDecodeError: ", sentence_of(problem_file(source)))


def test_an_error_in_a_file_beside_it_is_placed_there(problem_file):
    problem_file("\n\nraise ValueError('neighbour')\n", "broken_neighbour.py")
    sentence = sentence_of(problem_file("import broken_neighbour\n"))
    assert re.match(r"\S*broken_neighbour\.py, line 3: ValueError: neighbour\.", sentence)


def test_an_error_inside_a_module_target_is_not_taken_for_a_missing_module(
    problem_file, tmp_path, monkeypatch
):
    problem_file("import no_such_package_at_all\n", "half_done.py")
    monkeypatch.chdir(tmp_path)
    assert sentence_of("half_done") == (
        "half_done.py, line 1: ModuleNotFoundError: No module named 'no_such_package_at_all'."
    )


def test_an_error_inside_an_installed_package_is_placed_in_the_users_file(
    problem_file, tmp_path, monkeypatch
):
    (tmp_path / "site-packages").mkdir()
    problem_file("raise ValueError('not mine')\n", "site-packages/installed_here.py")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert re.match(
        r"\S*task\.py, line 2: ValueError: not mine", sentence_of(problem_file("\nimport installed_here"))
    )


@pytest.mark.parametrize("folder", ["env", "env-runs"])
def test_a_file_in_or_beside_a_virtual_environment_is_still_the_users(
    problem_file, tmp_path, monkeypatch, folder
):
    (tmp_path / folder).mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    target = problem_file("raise ValueError('mine')\n", f"{folder}/task.py")
    assert "task.py, line 1: ValueError: mine." in sentence_of(target)
