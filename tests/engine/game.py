"""What the tests of the coordinator share: a game that is played with it, and words for what it does."""

from deephpo import Float, Space
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import Ask, Start, SuggestionsMade, TrialEnded, WorkerReady, Write
from deephpo.engine.terms import Terms
from deephpo.problem import Declaration
from deephpo.storage.records import Ended
from deephpo.trial import Outcome, Trial, TrialState

DECLARATION = Declaration("demo", Space([Float("x", 0.0, 1.0)])).to_dict()


def outcome(trial_id, state=TrialState.COMPLETED, reason=""):
    return Outcome(trial_id, state, 0.5 if state is TrialState.COMPLETED else None, reason=reason)


def ended(worker, trial_id, state=TrialState.COMPLETED, reason=""):
    return TrialEnded(worker, outcome(trial_id, state, reason))


def trial(trial_id, ranks=1):
    return Trial(trial_id, {"x": trial_id}, ranks=ranks)


def of(actions, kind):
    return [action for action in actions if isinstance(action, kind)]


def records(actions, kind):
    return [action.record for action in of(actions, Write) if isinstance(action.record, kind)]


def kinds(actions):
    return [type(a.record if isinstance(a, Write) else a).__name__ for a in actions]


class Game:
    """Plays a coordinator: counts trials and seconds, and keeps every action in its order.

    workers: so many are ready.  places: so many there can be.
    """

    def __init__(self, workers=0, places=None, backlog=None, **terms):
        self.coordinator = Coordinator(Terms(**terms, workers=places), backlog)
        self.now_s = 0.0
        self.actions = []
        self.made = 0 if backlog is None else backlog.suggested
        self.events = [WorkerReady(worker, f"node{worker}") for worker in range(1, workers + 1)]
        for event in self.events:
            self.tell(event)

    def tell(self, *events, after_s=1.0):
        """Let events happen a second later, all in one turn; returns the actions."""
        self.now_s += after_s
        actions = self.coordinator.handle(events, self.now_s)
        self.actions += actions
        return actions

    def wait(self, seconds):
        """Let nothing happen for so long; returns the actions."""
        return self.tell(after_s=seconds)

    def answer(self, count=None, exhausted=False, after_s=1.0):
        """Answer the last Ask with so many trials, all that it asked for unless told otherwise."""
        asked = [action.q for action in self.actions if isinstance(action, Ask)][-1]
        count = asked if count is None else count
        trials = tuple(trial(k) for k in range(self.made, self.made + count))
        self.made += count
        return self.tell(SuggestionsMade(trials, exhausted), after_s=after_s)

    def start_all(self, after_s=1.0):
        """Answer until every worker has a trial."""
        while self.coordinator.thinking:
            self.answer(after_s=after_s)

    @property
    def running(self):
        """The trials that run now, by their workers."""
        running = {}
        for action in self.actions:
            match action:
                case Start(worker=worker, trial=started):
                    running[worker] = started.id
                case Write(record=Ended(worker=worker)):
                    del running[worker]
        return running

    def of(self, kind):
        return [action for action in self.actions if isinstance(action, kind)]

    def records(self, kind):
        return [action.record for action in self.of(Write) if isinstance(action.record, kind)]
