import json
import sys

import pytest

from deephpo.errors import ProblemError
from deephpo.worker.description import describe

HEAD = """
from deephpo import Categorical, Fidelity, Float, Problem, Space

def run(config, ctx):
    return config["lr"]
"""
SPACE = """[
    Float("lr", 1e-5, 0.1, log=True, default=0.01),
    Categorical("kind", ["a", "b", None]),
    Float("momentum", 0, 1, when={"kind": ["a", None]}),
]"""


def test_a_declaration_comes_from_a_child_and_its_code_stays_there(problem_file):
    options = 'objective="loss", direction="maximize", fidelity=Fidelity("epoch", 9), optimum=1.0'
    code = f"{HEAD}problem = Problem({SPACE}, run, {options})"
    declaration = describe(problem_file(code, "only_in_the_child.py"))
    assert "only_in_the_child" not in sys.modules
    assert (declaration.name, declaration.objective, declaration.direction) == (
        "only_in_the_child",
        "loss",
        "maximize",
    )
    assert (declaration.fidelity.high, declaration.optimum) == (9, 1.0)
    assert [p.name for p in declaration.space.parameters] == ["lr", "kind", "momentum"]


def test_a_problem_that_has_a_name_keeps_it(problem_file):
    assert describe(problem_file(f'{HEAD}problem = Problem({SPACE}, run, name="mine")')).name == "mine"


def test_what_the_file_prints_does_not_matter(problem_file, capfd):
    code = f'print("loading", flush=True)\n{HEAD}problem = Problem({SPACE}, run)'
    assert describe(problem_file(code)).name == "task"
    assert capfd.readouterr() == ("", "")


def test_a_wrong_file_is_refused_with_the_childs_sentence(problem_file):
    with pytest.raises(ProblemError, match=r"^\S*task\.py, line 3: ZeroDivisionError: division by zero\.$"):
        describe(problem_file("x = 1\n\n1 / 0\n"))


@pytest.mark.parametrize(
    ("death", "words"),
    [("os._exit(7)", "exited with code 7"), ("os.kill(os.getpid(), 11)", r"signal 11 \(SIGSEGV\)")],
)
def test_a_file_that_kills_its_process_is_given_up_and_its_last_words_are_told(problem_file, death, words):
    code = f"import os\nprint('last words', flush=True)\n{death}\n"
    with pytest.raises(
        ProblemError, match=rf"(?s)the problem's process .*{words}.*while it loaded.*last words"
    ):
        describe(problem_file(code))


ODD = """
import numpy as np
from deephpo import Categorical, Fidelity, Float, Integer, Problem, Space

problem = Problem(
    Space(
        [
            Float("rate", np.float32(1e-5), 1, log=True, default=1e-3),
            Integer("width", np.int64(8), 512, step=8),
            Categorical("kind", ["a", 1, 1.0 + 2**-50, None, True, "\u00e4"]),
            Float("momentum", 0, 1, when={"kind": ["a", None]}),
        ],
        forbidden=[{"kind": None, "width": 8}],
    ),
    lambda config: 0.0,
    objective="loss",
    fidelity=Fidelity("epoch", np.int32(9)),
    start=[{"rate": 0.5, "width": 16, "kind": None, "momentum": 0}],
    optimum=np.float64(0),
    trial_timeout=np.float32(90),
    trial_memory=np.int64(2**31),
    resumable=True,
)
"""


def test_a_declaration_reads_the_same_after_it_was_written_down(problem_file):
    """Each child compares its own text with the master's, which went through the journal."""
    declaration = describe(problem_file(ODD))
    text = json.dumps(declaration.to_dict())
    assert json.dumps(type(declaration).from_dict(json.loads(text)).to_dict()) == text
