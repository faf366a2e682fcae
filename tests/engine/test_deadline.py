"""How long a trial of the search typically lasts, and how soon before the end it is told."""

import random

import pytest

from deephpo.engine.deadline import Durations, notice_s


class TestDurations:
    def test_the_median_of_the_last_ones_is_typical(self):
        durations, rng, last = Durations(), random.Random(1), []
        for count in range(1, 1000):
            last = [*last, rng.lognormvariate(2, 1)][-256:]
            durations.add(last[-1])
            assert durations.typical_s == (0.0 if count < 3 else sorted(last)[len(last) // 2])

    def test_equal_durations_are_forgotten_one_by_one(self):
        durations = Durations()
        for duration_s in [1.0] * 256 + [2.0] * 129:
            durations.add(duration_s)
        assert durations.typical_s == 2.0

    @pytest.mark.parametrize(("time_s", "before_s"), [(60.0, 3.0), (600.0, 30.0), (86400.0, 30.0)])
    def test_running_trials_are_told_a_little_before_the_end(self, time_s, before_s):
        assert notice_s(time_s) == before_s
