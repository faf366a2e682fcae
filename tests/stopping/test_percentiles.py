import math

import numpy as np
import pytest

from deephpo.stopping.percentiles import percentile


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 2 / 3, 0.75, 1.0])
@pytest.mark.parametrize("count", range(1, 8))
def test_it_is_that_of_numpy_and_that_of_negated_values_its_negative(count, share):
    values = sorted(np.random.default_rng(count).normal(size=count).tolist())
    assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share))
    negated = [-value for value in reversed(values)]
    assert percentile(negated, 1 - share) == pytest.approx(-percentile(values, share))


@pytest.mark.parametrize(
    ("ordered", "share", "value"),
    [
        ([0.1, 0.2, 0.3, 0.4, math.inf], 0.75, 0.4),
        ([0.1, math.inf], 0.0, 0.1),
        ([0.1, math.inf], 0.2, math.inf),
        ([0.1, math.inf], 0.8, math.inf),
        ([-math.inf, 0.1], 0.2, -math.inf),
        ([-math.inf, 0.1], 0.8, -math.inf),
        ([-math.inf, 0.1], 1.0, 0.1),
        ([math.inf, math.inf], 0.5, math.inf),
    ],
)
def test_it_is_a_number_also_beside_infinity(ordered, share, value):
    assert percentile(ordered, share) == value
