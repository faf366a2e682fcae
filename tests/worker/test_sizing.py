"""How many workers each trial gets."""

import time
from pathlib import Path

import pytest

from deephpo.errors import OptionError, ProblemError
from deephpo.worker import sizing as sizings
from deephpo.worker.description import describe
from deephpo.worker.sizing import FixedSize, sizing_of

SOURCE = """
import os, sys, time
from deephpo import Integer, Problem

def run(config):
    return config["k"]

def ranks(config):
    {body}

problem = Problem([Integer("k", 1, 4)], run, ranks={ranks}, start={start})
"""


@pytest.fixture
def source(problem_file):
    """Return a function that writes a problem whose ranks function has this body, and returns its target."""

    def source(body="return config['k']", ranks="ranks", start=()):
        return problem_file(SOURCE.format(body=body, ranks=ranks, start=list(start)))

    return source


@pytest.fixture
def sizing(source):
    """Return a function that makes the sizing of a problem, as a search does, and closes it at the end."""
    made = []

    def sizing(body="return config['k']", ranks=None, workers=4, **options):
        target = source(body, **options)
        made.append(sizing_of(target, describe(target), ranks, workers))
        return made[-1]

    yield sizing
    for one in made:
        one.close()


@pytest.mark.parametrize(("declared", "said", "size"), [("2", None, 2), ("2", 3, 3), ("ranks", 1, 1)])
def test_the_command_line_goes_before_the_problem(source, declared, said, size):
    target = source(ranks=declared)
    sizing = sizing_of(target, describe(target), said, 4)
    assert isinstance(sizing, FixedSize)
    assert (sizing({"k": 4}), sizing.expected) == (size, float(size))


def test_the_problem_may_say_it_for_each_configuration(sizing):
    ranks = sizing()
    assert [ranks({"k": k}) for k in (1, 4, 2, 3, 1)] == [1, 4, 2, 3, 1]
    assert 1.5 < ranks.expected < 3.5
    assert ranks.largest == 4


def test_what_it_says_on_the_average_is_the_same_each_time(source):
    target = source()
    expected = set()
    for _ in range(2):
        sizing = sizing_of(target, describe(target), None, 4)
        expected.add(sizing.expected)
        sizing.close()
    assert len(expected) == 1


@pytest.mark.parametrize("number", ["2", "__import__('numpy').int64(2)"])
def test_a_whole_number_of_numpy_is_one_too(sizing, number):
    assert sizing(f"return {number}")({"k": 1}) == 2


WRONG = {
    "raises": ("raise KeyError('layers')", "KeyError: 'layers'"),
    "nothing": ("pass", "ValueError: ranks(config) must return a whole number from 1 on, not None"),
    "0": ("return 0", "ValueError: ranks(config) must return a whole number from 1 on, not 0"),
    "-1": ("return -1", "ValueError: ranks(config) must return a whole number from 1 on, not -1"),
    "2.5": ("return 2.5", "ValueError: ranks(config) must return a whole number from 1 on, not 2.5"),
    "True": ("return True", "ValueError: ranks(config) must return a whole number from 1 on, not True"),
    "text": ("return '2'", "ValueError: ranks(config) must return a whole number from 1 on, not '2'"),
    "sys.exit": ("sys.exit(3)", "SystemExit: 3"),
    "exits": ("os._exit(3)", "the trial's process exited with code 3"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_problem_that_says_nothing_sensible_is_refused_with_what_it_said(sizing, what):
    body, reason = WRONG[what]
    with pytest.raises(ProblemError) as error:
        sizing(body)
    sentence = str(error.value)
    assert sentence.startswith("Problem: ranks({'k': ")
    assert sentence.endswith(f"}}) failed: {reason}.")


def test_a_problem_that_takes_for_ever_is_refused(sizing, monkeypatch):
    monkeypatch.setattr(sizings, "_TIMEOUT_S", 0.5)
    with pytest.raises(ProblemError, match=r"failed: it ran longer than the trial timeout of 0\.5 s\.$"):
        sizing("time.sleep(1000)")


@pytest.mark.parametrize(
    ("body", "ranks", "words"),
    [
        ("return 9", None, "For some trial on 9 ranks there must be 9 workers at least, but there are 4:"),
        ("return 1", 9, "For a trial on 9 ranks there must be 9 workers at least, but there are 4:"),
    ],
)
def test_more_than_there_are_is_refused_with_the_cure(sizing, body, ranks, words):
    with pytest.raises(OptionError) as error:
        sizing(body, ranks=ranks)
    assert str(error.value).startswith(words)
    assert "start 10 MPI ranks" in str(error.value)
    assert "--workers 9" in str(error.value)


def test_a_single_worker_is_not_called_many(source):
    target = source(ranks="2")
    with pytest.raises(OptionError, match="but there is one: start 3 MPI ranks"):
        sizing_of(target, describe(target), None, 1)


def test_starting_points_are_asked_about_first(sizing):
    with pytest.raises(ProblemError, match=r"ranks\({'k': 3}\) failed: ZeroDivisionError"):
        sizing("return 1 // (config['k'] - 3) or 1", start=[{"k": 3}])


def child_of(directory: Path) -> int:
    return int((directory / "pid").read_text())


def test_no_child_is_left_behind(sizing, tmp_path):
    body = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); return config['k']"
    ranks = sizing(body)
    assert Path(f"/proc/{child_of(tmp_path)}").exists()
    ranks.close()
    ranks.close()
    assert not Path(f"/proc/{child_of(tmp_path)}").exists()


@pytest.mark.parametrize("end", ["return 0", "return 9"])
def test_no_child_is_left_behind_when_the_search_is_refused(sizing, tmp_path, end):
    body = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); {end}"
    with pytest.raises((ProblemError, OptionError)):
        sizing(body)
    assert not Path(f"/proc/{child_of(tmp_path)}").exists()


BREAKS_LATER = """
    broken = os.path.exists({flag!r})
    if broken:
        {what}
    return config["k"]
"""


@pytest.mark.parametrize("what", ["raise KeyError", "return 0", "os._exit(4)"])
def test_what_goes_wrong_later_is_the_trials_own_affair(sizing, tmp_path, what):
    flag = tmp_path / "flag"
    ranks = sizing(BREAKS_LATER.format(flag=str(flag), what=what).strip())
    flag.touch()
    assert ranks({"k": 3}) == 1
    flag.unlink()
    assert ranks({"k": 3}) == 3


def test_a_problem_that_cannot_be_loaded_any_more_holds_nobody_up(sizing, source, tmp_path):
    flag = tmp_path / "flag"
    ranks = sizing(BREAKS_LATER.format(flag=str(flag), what="os._exit(4)").strip())
    flag.touch()
    source(ranks="ranks)(")
    began = time.monotonic()
    assert [ranks({"k": 3}) for _ in range(5)] == [1] * 5
    assert time.monotonic() - began < 20


def test_what_goes_on_with_fewer_workers_needs_enough_for_its_smallest_trials_only(problem_file):
    target = problem_file(
        "from deephpo import Categorical, Problem\n"
        "problem = Problem([Categorical('k', [2, 4])], print, ranks=lambda config: config['k'])\n"
    )
    declaration = describe(target)
    sizing_of(target, declaration, None, 3, resumed=True).close()
    for workers, resumed in ((3, False), (1, True)):
        with pytest.raises(OptionError, match="there must be"):
            sizing_of(target, declaration, None, workers, resumed)
