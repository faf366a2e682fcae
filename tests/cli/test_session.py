"""One search from its parts: its directory, its configuration, its log, its signals."""

import logging
import os
import signal
import sys
from datetime import datetime

import pytest
import yaml

from deephpo.cli import session as sessions
from deephpo.cli.options import SearchOptions
from deephpo.cli.session import Session, default_directory, log_to, stopped_by_signals, write_config
from deephpo.errors import OptionError, ProblemError
from deephpo.storage.run_directory import RunDirectory


def options(search: str = "random", seed: int = 1) -> SearchOptions:
    origins = dict.fromkeys(("search", "seed", "trials", "time_limit_s", "workers"), "default")
    return SearchOptions(search, {}, seed, 2, None, None, None, origins)


def test_a_default_directory_never_is_one_that_exists(declaration, tmp_path, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2030, 1, 2, 3, 4, 5)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sessions, "datetime", Clock)
    names = []
    for _ in range(3):
        path = default_directory(declaration)
        path.mkdir(parents=True)
        names.append(path.name)
    assert names == ["demo-20300102-030405", "demo-20300102-030405-2", "demo-20300102-030405-3"]


def test_the_configuration_file_holds_what_decided_the_search(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["deephpo", "search", "quick.py"])
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    session = Session(problem, options())
    write_config(session, directory, "2 local workers")
    content = yaml.safe_load(directory.config.read_text())
    assert content["command"] == "deephpo search quick.py"
    assert content["problem"]["objective"] == "loss"
    assert content["space"] == session.declaration.space.to_dict()
    assert content["options"]["seed"] == {"value": 1, "origin": "default"}
    assert content["versions"].keys() >= {"python", "deephpo", "numpy", "scikit-learn"}
    assert [path.name for path in directory.path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("target", "given", "error"),
    [("nowhere.py", options(), ProblemError), (None, options("ambz"), OptionError)],
)
def test_a_session_that_cannot_be_is_refused_at_birth(target, given, error, problem):
    with pytest.raises(error):
        Session(target or problem, given)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_a_wish_while_the_search_runs_and_none_of_our_business_after(number):
    before, wishes = signal.getsignal(number), []
    with stopped_by_signals(wishes.append):
        os.kill(os.getpid(), number)
    assert wishes == [f"stopped by {number.name}"]
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_at_once():
    wishes = []

    def interrupt(times: int) -> None:
        with stopped_by_signals(wishes.append):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        interrupt(2)
    assert wishes == ["stopped by SIGINT"] * 2


def test_the_log_goes_to_its_file_while_the_search_runs(tmp_path):
    logger = logging.getLogger("deephpo")
    with log_to(tmp_path / "log.txt"):
        logger.info("during")
    logger.info("after")
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    assert line.endswith("INFO    during")
