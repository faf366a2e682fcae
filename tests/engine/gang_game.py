"""A game with a coordinator whose trials are of several workers each."""

from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import Ask, Start, SuggestionsMade, WorkerReady, Write
from deephpo.engine.terms import Terms
from deephpo.storage.records import Ended
from tests.engine.game import of, trial


class Game:
    """Plays a coordinator a second a turn; the search answers at once, with trials of the sizes given.

    sizes: those of the first trials, one after the other; then the last of them for ever.  workers: so many
    are ready, on so many hosts in turn.  places: so many there can be.
    """

    def __init__(self, workers, sizes, hosts=1, places=None, ranks_per_trial=None, **terms):
        expected = float(sizes[0]) if ranks_per_trial is None else ranks_per_trial
        self.coordinator = Coordinator(Terms(**terms, workers=places, ranks_per_trial=expected))
        self.sizes = list(sizes)
        self.now_s = 0.0
        self.made = 0
        self.actions = []
        if workers:
            self.tell(*(WorkerReady(w, f"node{(w - 1) % hosts}") for w in range(1, workers + 1)))

    def tell(self, *events, after_s=1.0):
        """Let events happen in one turn; returns the actions, those after the search's answers too."""
        self.now_s += after_s
        actions = self.coordinator.handle(events, self.now_s)
        while asked := of(actions[-1:], Ask):
            trials = tuple(self.make() for _ in range(asked[0].q))
            actions = actions[:-1] + self.coordinator.handle([SuggestionsMade(trials, False)], self.now_s)
        self.actions += actions
        return actions

    def running(self):
        """Return the trials that run, each with its workers."""
        at = {}
        for action in self.actions:
            match action:
                case Start(trial=started):
                    at[started.id] = action.workers
                case Write(record=Ended(outcome=outcome)):
                    del at[outcome.trial_id]
                case _:
                    pass
        return list(at.items())

    def make(self):
        made = trial(self.made, self.sizes[min(self.made, len(self.sizes) - 1)])
        self.made += 1
        return made

    @property
    def starts(self):
        """All starts so far: the trial, and its workers."""
        return [(start.trial.id, start.workers) for start in of(self.actions, Start)]
