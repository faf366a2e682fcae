import random

import pytest

from deephpo.storage.spans import Spans


def test_spans_that_ended_count_whole_and_the_others_up_to_now():
    spans = Spans()
    assert spans.total_s(5.0) == 0.0
    spans.begin(1.0)
    spans.begin(2.0)
    assert spans.total_s(5.0) == 4.0 + 3.0
    spans.end(1.0, 4.0)
    assert spans.total_s(10.0) == 3.0 + 8.0


def test_rounding_does_not_add_up_over_a_million_spans():
    rng, spans, now_s, exact_s = random.Random(1), Spans(), 0.0, 0.0
    going = []
    for _ in range(1_000_000):
        now_s += 1e-3
        if len(going) == 1000:
            began_s = going.pop(rng.randrange(1000))
            spans.end(began_s, now_s)
            exact_s += now_s - began_s
        spans.begin(now_s)
        going.append(now_s)
    exact_s += sum(now_s - began_s for began_s in going)
    assert spans.total_s(now_s) == pytest.approx(exact_s, rel=1e-9)
    while going:
        spans.end(going.pop(), now_s)
    assert spans.began_s == 0.0
