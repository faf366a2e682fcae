import math

import numpy as np
import pytest

from deephpo.stopping.curve import Curve
from deephpo.stopping.forecast import forecast

STEPS = np.arange(1, 101)


def curve_of(losses):
    curve = Curve(0)
    for step, loss in enumerate(losses, 1):
        curve.add(step, float(loss), {})
    return curve


def noisy(limit, fall, noise, rng):
    return limit + fall + rng.normal(0, noise, len(fall))


SHAPES = {
    "power": lambda k: STEPS ** -(0.4 + 0.3 * k),
    "exponential": lambda k: np.exp(-STEPS / (8 + 25 * k)),
    "logarithm": lambda k: -0.2 * np.log(STEPS / 100) * (0.5 + k),
}


class TestShapes:
    @pytest.mark.parametrize(
        "fall",
        [0.5 * STEPS**-0.5, 0.8 * STEPS**-1.0, 0.6 * np.exp(-STEPS / 33.3), -0.1 * np.log(STEPS / 100)],
    )
    @pytest.mark.parametrize("known", [25, 50, 75])
    def test_a_curve_of_a_known_shape_comes_to_its_limit(self, fall, known):
        losses = 0.2 + fall
        expected = forecast(curve_of(losses[:known]), 100)
        still_to_fall = losses[known - 1] - losses[-1]
        assert expected.mean == pytest.approx(losses[-1], abs=0.25 * still_to_fall + 1e-3)

    def test_a_flat_curve_stays(self):
        expected = forecast(curve_of([0.7] * 30), 100)
        assert expected.mean == pytest.approx(0.7)
        assert expected.chance_below(0.6) < 0.01

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("known", [13, 25, 50, 71])
    def test_nine_in_ten_limits_are_inside_the_ninety_per_cent(self, shape, known):
        rng = np.random.default_rng(0)
        inside = []
        for _ in range(200):
            losses = noisy(rng.uniform(0.05, 0.6), SHAPES[shape](rng.random()), 0.005, rng)
            chance = forecast(curve_of(losses[:known]), 100).chance_below(losses[-1])
            inside.append(0.05 < chance < 0.95)
        assert 0.8 <= np.mean(inside) <= 1.0

    def test_what_is_known_of_more_epochs_is_surer(self):
        losses = noisy(0.3, STEPS**-0.7, 0.01, np.random.default_rng(1))
        deviations = [forecast(curve_of(losses[:known]), 100).deviation for known in (10, 20, 40, 80)]
        assert deviations == sorted(deviations, reverse=True)


class TestWhatItKnows:
    def test_what_complete_curves_still_fell_counts_where_the_curve_says_little(self):
        short = curve_of([0.9, 0.89, 0.885])
        alone, taught = forecast(short, 100), forecast(short, 100, [0.4, 0.5, 0.6])
        assert taught.mean < alone.mean
        assert taught.chance_below(0.6) > 2 * alone.chance_below(0.6)
        long = curve_of(0.2 + STEPS[:71] ** -0.5)
        assert forecast(long, 100, [0.4, 0.5, 0.6]).mean == pytest.approx(forecast(long, 100).mean, abs=0.002)

    def test_how_it_began_has_no_weight(self):
        losses = 0.2 + STEPS[:40] ** -0.5
        wild = losses.copy()
        wild[:3] = 1e6
        assert forecast(curve_of(wild), 100).mean == forecast(curve_of(losses), 100).mean

    def test_three_numbers_must_be_known(self):
        assert forecast(curve_of([0.5, 0.4]), 100) is None
        assert forecast(curve_of([math.nan, 0.5, math.inf, 0.4]), 100) is None
        assert forecast(curve_of([math.nan, 0.5, 0.45, 0.4]), 100) is not None

    def test_the_unit_is_of_no_account(self):
        losses = noisy(0.3, STEPS**-0.7, 0.01, np.random.default_rng(2))[:30]
        plain, scaled = forecast(curve_of(losses), 100), forecast(curve_of(1000 * losses - 500), 100)
        assert scaled.mean == pytest.approx(1000 * plain.mean - 500)
        assert scaled.deviation == pytest.approx(1000 * plain.deviation)

    def test_widened_keeps_the_mean(self):
        expected = forecast(curve_of(0.2 + STEPS[:30] ** -0.5), 100)
        wider = expected.widened(3.0)
        assert wider.mean == pytest.approx(expected.mean)
        assert wider.deviation == pytest.approx(3 * expected.deviation)
