"""How much room text takes on a terminal, where Chinese, Japanese and Korean characters take two columns."""

from __future__ import annotations

import unicodedata
from itertools import accumulate


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    Wide and full-width characters (Unicode Standard Annex 11) take two, marks that stand on the character
    before them none.

    >>> columns_of("Größe"), columns_of("大きさ")
    (5, 6)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def left_aligned(text: str, columns: int) -> str:
    """Return a text with spaces behind it, so that it takes so many columns."""
    return text + " " * (columns - columns_of(text))


def right_aligned(text: str, columns: int) -> str:
    """Return a text with spaces before it, so that it takes so many columns."""
    return " " * (columns - columns_of(text)) + text


def beginning(text: str, columns: int) -> str:
    """Return so much of the beginning of a text as takes so many columns at the most."""
    taken = accumulate(map(_columns, text))
    return text[: sum(end <= columns for end in taken)]


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
