"""Times on the command line, as people and as batch systems write them."""

import pytest

from deephpo.cli.quantities import parse_time
from deephpo.errors import OptionError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1d", 86400),
        ("0.5h", 1800),
        ("1h30m", 5400),
        ("1d12h", 129600),
        ("02:00:00", 7200),
        ("0:01:30", 90),
        ("100:00:00", 360_000),
        ("1-12:00:00", 129600),
    ],
)
def test_a_time_is_written_as_people_or_as_batch_systems_write_it(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5x", "-3s", "nan", "inf", "30m1h", "1h30", "1e3", "2:00", "1:60:00", "1 h"]
)
def test_what_is_no_time_is_refused_with_the_text(text):
    with pytest.raises(OptionError, match="90s, 30m, 1h30m, 2h, 1d or 2:00:00, not ") as error:
        parse_time(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["0", "0s", "0h00m", "0:00:00", "9" * 400])
def test_no_time_and_endless_time_are_refused_as_such(text):
    with pytest.raises(OptionError, match=f"above 0 and have an end, not '{text}'"):
        parse_time(text)
