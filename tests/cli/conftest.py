"""The command line, run in this process: what it prints and returns, at the cost of a function call."""

from collections.abc import Callable

import pytest

from deephpo.cli.main import main

QUICK = """
from deephpo import Float, Problem

def run(config, ctx):
    ctx.report(1, loss=config["x"])
    print("trial", ctx.trial_id)
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run, objective="loss")
"""


@pytest.fixture
def problem(problem_file: Callable[..., str]) -> str:
    """Return the path of a problem that takes no time."""
    return problem_file(QUICK, "quick.py")


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command which must be refused, and returns the one sentence it said."""

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("deephpo: ")
        assert err.count("\n") == 1, err
        return err.strip()

    return run


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command which must succeed, and returns what it printed."""

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    return run
