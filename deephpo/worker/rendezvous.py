"""How the processes that train one trial together find each other."""

from __future__ import annotations

from collections.abc import Callable

from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Meeting
from deephpo.worker.place import Place


class Rendezvous:
    """The leader says where they meet, and the others hear it, over their search processes.

    So nothing is needed before but the search itself: no port agreed upon, no file that all of them see.

    send: to the search process.  inbox: what comes from there.
    """

    def __init__(self, assignment: Assignment, send: Callable[[Meeting], None], inbox: Inbox) -> None:
        self.place: Place = assignment.place
        self.met = False
        """Whether anything was agreed upon."""
        self._key = assignment.trial_id, assignment.attempt
        self._send = send
        self._inbox = inbox

    def agree(self, choose: Callable[[], str]) -> str:
        """Return what the leader chose, on every process; to be called by all of them equally often."""
        self.met = True
        if self.place.rank == 0:
            where = choose()
            if self.place.size > 1:
                self._send(Meeting(*self._key, where))
            return where
        return self._inbox.next_meeting().where
