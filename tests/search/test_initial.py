import numpy as np

from deephpo.search.history import History
from deephpo.search.initial import AfterDesign
from deephpo.space.parameters import Float
from deephpo.space.space import Space

ENCODING = Space([Float("x", 0, 1)]).encoding()
MODEL = np.array([[0.123]], dtype=np.float32)


class Model:
    """Proposes the same row always, and says so when it is passed over."""

    def __init__(self):
        self.passed_over = 0

    def propose(self, q, history):
        return MODEL

    def frame_of(self, n, m):
        return 1, n

    def pass_over(self, q, history):
        self.passed_over += 1


def told(history, *values):
    for value in values:
        row = np.array([0.001 * history.m], dtype=np.float32)
        history.learnt(row, value)


def test_failures_do_not_count():
    strategy, history = AfterDesign(ENCODING, np.random.SeedSequence(1), Model(), initial=2), History(1)
    told(history, np.inf, 1.0, np.inf)
    assert (strategy.propose(1, history) != MODEL).all()
    told(history, 2.0)
    assert (strategy.propose(1, history) == MODEL).all()


def test_a_design_that_is_passed_over_goes_on_where_it_was():
    history, model = History(1), Model()
    asked, passed = (AfterDesign(ENCODING, np.random.SeedSequence(1), model, initial=1) for _ in range(2))
    assert (asked.propose(3, history) == passed.pass_over(3, history)).all()
    assert (asked.propose(2, history) == passed.propose(2, history)).all()
    told(history, 1.0)
    assert passed.pass_over(1, history) is None
    assert model.passed_over == 1
    assert passed.frame_of(7, 9) == (1, 7)
