"""Frames: how long a search goes on with what it began with, before it looks at everything again."""

from __future__ import annotations


def frame_of(n: int, m: int) -> tuple[int, int]:
    """Return the frame in which the search is when n results are known of m points that were asked.

    What is done at its beginning costs as much as m is large.  So a frame is ``2^k`` results long if m has k
    binary digits more than seven: a 64th of m at the most, and one result while m is below 128.  But it is no
    longer than half of n, however many points are pending.

    >>> [frame_of(n, n + 32) for n in (50, 51, 1000, 1007, 1008)]
    [(0, 50), (0, 51), (4, 62), (4, 62), (4, 63)]
    """
    length = max(0, min(m.bit_length() - 7, n.bit_length() - 2))
    return length, n >> length
