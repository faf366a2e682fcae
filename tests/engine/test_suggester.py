import sys
import time
from threading import Event

import pytest

from deephpo import Categorical, Float, Space, create_search
from deephpo.engine.events import Ask, SuggestionsMade, Tell
from deephpo.engine.suggester import SWITCH_S, InlineSuggester, ThreadedSuggester
from deephpo.trial import Outcome, TrialState

SPACE = Space([Float("x", 0.0, 1.0), Categorical("kind", ["a", "b"])])


def tell(trial, value=None):
    state = TrialState.FAILED if value is None else TrialState.COMPLETED
    return Tell(trial, Outcome(trial.id, state, value, reason="why"))


def answers(suggester, count):
    """Return so many answers, as soon as they are there."""
    collected, deadline = [], time.monotonic() + 30
    while len(collected) < count:
        assert time.monotonic() < deadline
        collected += suggester.collect()
        time.sleep(0.001)
    return collected


def play(suggester):
    """Ask and tell as an engine would; returns all answers."""
    suggester.submit(Ask(6))
    collected = answers(suggester, 1)
    trials = list(collected[0].trials)
    for turn in range(8):
        trial = trials.pop(0)
        suggester.submit(tell(trial, None if turn % 3 == 0 else trial.config["x"]))
        suggester.submit(Ask(2))
        collected += answers(suggester, 1)
        trials += collected[-1].trials
    return collected


class BrokenSearch:
    """A search that fails where it is told to."""

    exhausted = False

    def __init__(self, where):
        self._where = where

    def ask(self, q):
        return self._fail("ask")

    def tell(self, trial, value):
        self._fail("tell")

    def fail(self, trial, reason):
        self._fail("fail")

    def _fail(self, where):
        if where == self._where:
            raise ZeroDivisionError(f"in {where}")
        return []


@pytest.mark.parametrize("suggester_class", [InlineSuggester, ThreadedSuggester])
class TestEverySuggester:
    @pytest.fixture
    def make(self, suggester_class):
        made = []

        def make(search):
            made.append(suggester_class(search))
            return made[-1]

        yield make
        for suggester in made:
            suggester.close()

    @pytest.mark.parametrize("name", ["random", "ambs"])
    def test_the_answers_follow_from_the_order_of_the_actions_alone(self, make, name):
        options = {"initial": 4} if name == "ambs" else {}
        search, twin = (create_search(name, SPACE, seed=3, **options) for _ in range(2))
        assert play(make(search)) == play(InlineSuggester(twin))

    def test_each_ask_has_one_answer_in_its_turn(self, make):
        suggester = make(create_search("random", SPACE, seed=1))
        for q in (1, 3, 2):
            suggester.submit(Ask(q))
        made = answers(suggester, 3)
        assert [[trial.id for trial in answer.trials] for answer in made] == [[0], [1, 2, 3], [4, 5]]
        assert suggester.collect() == []

    def test_a_space_with_nothing_untried_says_so(self, make):
        suggester = make(create_search("random", Space([Categorical("kind", ["a", "b", "c"])])))
        suggester.submit(Ask(5))
        (answer,) = answers(suggester, 1)
        assert isinstance(answer, SuggestionsMade)
        assert (len(answer.trials), answer.exhausted) == (3, True)

    def test_only_a_completed_trial_counts_as_a_success(self, make):
        search = create_search("random", SPACE, seed=1)
        suggester = make(search)
        suggester.submit(Ask(4))
        first, *others = answers(suggester, 1)[0].trials
        for trial, state in zip(others, (TrialState.FAILED, TrialState.STOPPED), strict=False):
            suggester.submit(Tell(trial, Outcome(trial.id, state)))
        suggester.submit(tell(first, 0.5))
        suggester.submit(Ask(1))
        answers(suggester, 1)
        assert search.best.id == first.id

    @pytest.mark.parametrize("where", ["ask", "tell", "fail"])
    def test_an_exception_in_the_search_surfaces_in_the_loops_thread(self, make, where):
        suggester = make(BrokenSearch(where))
        trial = create_search("random", SPACE).ask(1)[0]
        action = {"ask": Ask(1), "tell": tell(trial, 0.5), "fail": tell(trial)}[where]

        def submit_and_wait():
            suggester.submit(action)
            answers(suggester, 1)

        with pytest.raises(ZeroDivisionError, match=f"in {where}"):
            submit_and_wait()


def test_a_threaded_suggester_never_lets_the_loop_wait():
    class SlowSearch:
        exhausted = False

        def ask(self, q):
            time.sleep(3)
            return []

    suggester = ThreadedSuggester(SlowSearch())
    began = time.monotonic()
    suggester.submit(Ask(1))
    assert suggester.collect() == []
    suggester.close()
    assert time.monotonic() - began < 1.5


def test_a_threaded_suggester_begins_nothing_more_once_it_is_closed():
    class PausingSearch:
        exhausted = False

        def __init__(self):
            self.asked, self.begun, self.go_on = 0, Event(), Event()

        def ask(self, q):
            self.asked += 1
            self.begun.set()
            self.go_on.wait(30)
            return []

    search = PausingSearch()
    suggester = ThreadedSuggester(search)
    for _ in range(5):
        suggester.submit(Ask(1))
    assert search.begun.wait(30)
    suggester.close()
    search.go_on.set()
    suggester._thread.join(30)
    assert not suggester._thread.is_alive()
    assert search.asked == 1


def test_beside_a_thinking_thread_the_loop_gets_the_interpreter_back_soon():
    before_s = sys.getswitchinterval()
    suggester = ThreadedSuggester(create_search("random", SPACE))
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    for _ in range(2):
        suggester.close()
        assert sys.getswitchinterval() == pytest.approx(before_s)
