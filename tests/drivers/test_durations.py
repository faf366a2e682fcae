import numpy as np
import pytest

from deephpo.drivers.durations import DEFAULT, parse_durations
from deephpo.errors import OptionError


def draws(spec, n=4000, seed=0):
    model = parse_durations(spec, seed)
    return np.array([model(k) for k in range(n)])


def test_constant_durations_are_constant():
    assert set(draws("constant:30", 10)) == {30.0}


def test_uniform_durations_fill_their_range_evenly():
    seconds = draws("uniform:10,20")
    assert 10 <= seconds.min() < 10.1
    assert 19.9 < seconds.max() <= 20
    assert seconds.mean() == pytest.approx(15, rel=0.02)


def test_exponential_durations_have_their_mean():
    seconds = draws("exponential:60")
    assert seconds.mean() == pytest.approx(60, rel=0.06)
    assert seconds.std() == pytest.approx(60, rel=0.1)


@pytest.mark.parametrize(("spec", "median", "sigma"), [("lognormal:60,0.5", 60, 0.5), (DEFAULT, 60, 0.5)])
def test_lognormal_durations_have_their_median_and_spread(spec, median, sigma):
    seconds = draws(spec)
    assert np.median(seconds) == pytest.approx(median, rel=0.04)
    assert np.log(seconds).std() == pytest.approx(sigma, rel=0.05)


def test_a_trial_always_takes_the_same_time_whenever_it_is_asked():
    model = parse_durations(DEFAULT, 7)
    assert [model(k) for k in (3, 1, 3)] == [model(3), model(1), model(3)]
    assert parse_durations(DEFAULT, 7)(3) == model(3)


def test_seeds_and_trials_differ():
    assert len({parse_durations(DEFAULT, seed)(k) for seed in range(5) for k in range(5)}) == 25


def test_no_duration_is_zero():
    assert set(draws("constant:0", 3)) == {1e-3}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("lognorml:60,0.5", "There is no distribution 'lognorml'; did you mean 'lognormal'?"),
        ("", "Known: constant, uniform, exponential, lognormal"),
        ("lognormal", "lognormal is written lognormal:median,sigma with numbers from 0 on, not 'lognormal'"),
        ("lognormal:60", "lognormal is written lognormal:median,sigma"),
        ("constant:1,2", "constant is written constant:seconds"),
        ("constant:-1", "constant is written constant:seconds"),
        ("constant:nan", "constant is written constant:seconds"),
        ("exponential:inf", "exponential is written exponential:mean"),
        ("exponential:a", "exponential is written exponential:mean"),
        ("uniform:1,", "uniform is written uniform:low,high"),
        ("uniform:20,10", "uniform is written uniform:low,high"),
    ],
)
def test_a_wrong_text_is_refused_with_the_right_one(spec, sentence):
    with pytest.raises(OptionError, match=r"^--duration: ") as caught:
        parse_durations(spec, 0)
    assert sentence in str(caught.value)


def test_a_duration_is_finite_whatever_is_drawn():
    draw = parse_durations("lognormal:60,1000", seed=1)
    assert all(0 < draw(trial) <= 1e9 for trial in range(200))
