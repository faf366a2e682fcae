import pytest

from deephpo.report.terminal import beginning, columns_of, left_aligned, right_aligned


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("lr=0.1", 6),
        ("Größe", 5),
        ("Gro\u0308ße", 5),  # the o and its dots are two characters
        ("大きさ", 6),
        ("활성화", 6),
        ("\uff21\uff22", 4),
        ("\u200bx", 1),
        ("🙂", 2),
    ],
)
def test_text_takes_as_many_columns_as_on_a_terminal(text, columns):
    assert columns_of(text) == columns


def test_aligned_text_ends_in_the_same_column():
    assert [left_aligned(text, 6) for text in ("ab", "大き")] == ["ab    ", "大き  "]
    assert [right_aligned(text, 6) for text in ("ab", "大き")] == ["    ab", "  大き"]
    assert left_aligned("大きさ大きさ", 6) == "大きさ大きさ"


@pytest.mark.parametrize(
    ("columns", "shown"), [(-1, ""), (0, ""), (1, ""), (2, "大"), (3, "大"), (4, "大き"), (9, "大きax")]
)
def test_the_beginning_of_a_text_takes_no_more_columns_than_there_are(columns, shown):
    assert beginning("大きax", columns) == shown


def test_a_mark_stays_with_its_character():
    assert beginning("o\u0308x", 1) == "o\u0308"
