"""The kin8nm benchmark: what its table says of a run."""

import sys
from pathlib import Path

import pytest

from deephpo.storage.records import Asked, Ended, Started, Suggested
from deephpo.trial import Outcome, Trial, TrialState

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from kin8nm import Row, choosing_s


def test_choosing_is_counted_from_each_ask_to_its_answer_and_no_further():
    records = [
        Asked(0.0, 2),
        Suggested(0.25, (Trial(0, {}), Trial(1, {})), False),
        Started(0.3, 0, 1),
        Asked(0.5, 1),
        Ended(4.0, 1, Outcome(0, TrialState.COMPLETED, 0.1)),
        Suggested(4.5, (Trial(2, {}),), False),
    ]
    assert choosing_s(records) == pytest.approx(4.25)
    # An ask that the end of the time left without an answer counts for nothing.
    assert choosing_s([*records, Asked(9.0, 1)]) == pytest.approx(4.25)


def test_a_row_says_when_the_published_error_was_undercut():
    row = Row(0.06571, 0.0625, 180, 2.04, 0.0012, 0.991)
    assert row.cells() == ["0.0657", "0.0625", "180", "2.0 min", "0.12 %", "99.1 %"]
    assert Row(0.075, 0.08, 11, None, 0.0, 1.0).cells()[3] == "never"
