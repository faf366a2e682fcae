"""The options of a search: defaults, origins, and what is refused."""

import argparse

import pytest

from deephpo.cli.options import DEFAULT_TRIALS, SearchOptions, add_search_arguments, resolve
from deephpo.cli.search import add_worker_arguments
from deephpo.errors import OptionError


def options(line: str = "") -> SearchOptions:
    parser = argparse.ArgumentParser()
    add_search_arguments(parser)
    add_worker_arguments(parser)
    return resolve(parser.parse_args(line.split()))


@pytest.mark.parametrize(
    ("line", "trials", "time_limit_s"),
    [
        ("", DEFAULT_TRIALS, None),
        ("--trials 7", 7, None),
        ("--time-limit 2m", None, 120),
        ("--trials 7 --time-limit 2m", 7, 120),
    ],
)
def test_a_search_without_a_time_limit_ends_after_so_many_trials(line, trials, time_limit_s):
    resolved = options(line)
    assert (resolved.trials, resolved.time_limit_s) == (trials, time_limit_s)


def test_every_value_says_where_it_came_from():
    values = options("--search ambs --kappa 2.5 --time-limit 5m --seed 3").to_dict()
    origins = {name: entry["origin"] for name, entry in values.items()}
    given = {name for name, origin in origins.items() if origin == "command line"}
    assert given == {"search", "kappa", "time_limit_s", "seed"}
    assert set(origins.values()) == {"command line", "default"}
    assert values["surrogate"] == {"value": "forest", "origin": "default"}


def test_a_search_is_asynchronous_unless_it_is_said():
    assert not options().synchronous
    said = options("--synchronous")
    assert said.to_dict()["synchronous"] == {"value": True, "origin": "command line"}
    assert SearchOptions.from_dict(said.to_dict()).synchronous


def test_the_same_rule_said_twice_is_that_rule():
    assert options("--stop asha --stop asha").stop == "asha"


def test_options_that_are_older_than_the_synchronous_mode_are_asynchronous():
    new = options().to_dict()
    old = SearchOptions.from_dict({name: entry for name, entry in new.items() if name != "synchronous"})
    assert not old.synchronous
    assert old.to_dict() == new


def test_a_seed_that_is_not_given_is_drawn_and_told():
    first, second = options(), options()
    assert first.seed != second.seed
    assert first.to_dict()["seed"] == {"value": first.seed, "origin": "drawn"}


def test_a_search_has_its_own_options_and_no_others():
    assert options("--search random").strategy == {}
    assert set(options("--search ambs").strategy) == {"surrogate", "kappa", "lie", "initial"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--trials 0", "--trials must be at least 1, not 0"),
        ("--workers -2", "--workers must be at least 1, not -2"),
        ("--search random --kappa 3", "'random' has no option 'kappa'"),
        (
            "--search hyperband",
            "There is no search 'hyperband'; hyperband is a stopping rule: --stop hyperband. Known: auto, ",
        ),
        (
            "--search ASHA:eta=3",
            "There is no search 'ASHA:eta=3'; asha is a stopping rule: --stop asha:eta=3.",
        ),
        ("--search asha+diverged", "'asha.diverged'; asha is a stopping rule: --stop asha.diverged."),
    ],
)
def test_a_value_that_cannot_be_is_refused(line, told):
    with pytest.raises(OptionError, match=told):
        options(line)
