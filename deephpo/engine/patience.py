"""How long whoever waits for news sleeps between two looks: a matter of the silence so far.

It stands alone because every rank of a job needs it, and a worker is to load no more than that.
"""

from __future__ import annotations

PATIENCE_S = (0.001, 0.1)
"""How long to wait for events: the first right after one, the second at most.  What costs is to wake up,
about 0.3 ms of a core on a busy machine."""


def longer(patience_s: float) -> float:
    """Return how long to wait after a wait in which nothing happened.

    It grows to a twentieth of the silence so far: an event is noticed late by 5 % of the time that it took
    to come, at most, and who waits for long wakes up 10 times a second.
    """
    return min(PATIENCE_S[1], patience_s * 1.05)
