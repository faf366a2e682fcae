"""What a stopped trial stands for; alone, because the command line, which every rank reads, names them."""

from __future__ import annotations

from typing import Literal, get_args

Lesson = Literal["best", "last", "extrapolated"]
"""Which of its values a stopped trial stands for, in tables and for the search that learns from it.  Where it
was heading is told to the search alone: in tables it is its best."""
LESSONS: tuple[Lesson, ...] = get_args(Lesson)
