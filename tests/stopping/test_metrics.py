"""Further metrics to judge by: which direction a rule's text gives to each."""

import pytest

from deephpo.stopping.create import further_metrics_of


@pytest.mark.parametrize(
    ("rule", "directions"),
    [
        ("pace:also=latency", {"latency": "minimize"}),
        ("pace:also=max:throughput+diverged", {"throughput": "maximize"}),
        ("asha:also = time max:time_saved,eta=3", {"time": "minimize", "time_saved": "maximize"}),
        ("asha:eta=3,also=max:a.b abb", {"a.b": "maximize", "abb": "minimize"}),
        ("pace:also=a + asha:also=max:b a + diverged", {"a": "minimize", "b": "maximize"}),
        ("pace:also=max:climax climax:x", {"climax": "maximize", "climax:x": "minimize"}),
    ],
)
def test_each_metric_has_the_direction_that_the_rule_gives_it(rule, directions):
    assert {metric.metric: metric.direction for metric in further_metrics_of(rule)} == directions
