"""The child process: loads the problem once, then evaluates one trial after the other.

``python -m deephpo.worker.child FD TARGET``: FD is the number of an inherited socket over which it talks with
its parent.  It keeps MPI out of the user's reach, and the user's crashes out of MPI's.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections import deque
from multiprocessing.connection import Connection
from threading import RLock
from typing import Any

from deephpo.errors import UserError
from deephpo.worker.evaluation import evaluate, ranks_of
from deephpo.worker.inbox import Inbox
from deephpo.worker.loading import load_problem, name_of
from deephpo.worker.messages import Assignment, FromChild, Lasted, Loaded, NotLoaded, ToChild

_PR_SET_PDEATHSIG = 1


def main(descriptor: int, target: str) -> None:
    """Serve assignments until the parent closes the line."""
    _die_with_parent()
    line, pid = Connection(descriptor), os.getpid()
    os.set_inheritable(descriptor, False)
    send = _Speaker(line).send
    try:
        problem = load_problem(target)
    except UserError as error:
        send(NotLoaded(str(error)))
        return
    send(Loaded(json.dumps(problem.named(name_of(target)).to_dict())))
    while True:
        try:
            assignment: ToChild = line.recv()
        except EOFError:
            return
        if not isinstance(assignment, Assignment):  # what came too late for a trial that is over
            continue
        if assignment.wants_ranks:
            send(ranks_of(problem, assignment))
            continue
        inbox = Inbox(assignment, line)
        outcome = evaluate(problem, assignment, send, inbox)
        if os.getpid() != pid:  # a fork of the user's that came back from run(): nobody waits for it
            os._exit(0)
        inbox.close()
        if assignment.wants_duration and problem.duration is not None:
            send(Lasted(float(problem.duration(dict(assignment.config)))))
        # What the trial printed is to be there when its end is noticed.
        sys.stdout.flush()
        sys.stderr.flush()
        send(outcome)


class _Speaker:
    """Sends whole messages, one after the other; users report from threads and from signal handlers too."""

    def __init__(self, line: Connection[Any, Any]) -> None:
        self._line = line
        self._lock = RLock()
        self._waiting: deque[FromChild] = deque()
        self._speaking = False

    def send(self, message: FromChild) -> None:
        """Send a message; in a handler whose signal came in the middle of another one, right after that."""
        with self._lock:
            self._waiting.append(message)
            if self._speaking:
                return
            self._speaking = True
            try:
                while self._waiting:
                    self._line.send(self._waiting.popleft())
            finally:
                self._speaking = False


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, in whatever C code it is then."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
