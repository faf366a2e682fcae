"""What a new search is told of an earlier one's table."""

import pytest

from deephpo.errors import OptionError
from deephpo.problem import Declaration
from deephpo.space.parameters import Float
from deephpo.space.space import Space
from deephpo.storage.observations import read_observations

DECLARATION = Declaration("demo", Space([Float("x", 0.0, 1.0)]))


@pytest.fixture
def read(tmp_path):
    """Return a function from the lines of a table to what is observed there."""

    def read(*lines, encoding="utf-8"):
        path = tmp_path / "results.csv"
        path.write_text("\n".join(["id,state,value,p:x", *lines]) + "\n", encoding=encoding)
        observations = read_observations(path, DECLARATION).observations
        return [(observation.config["x"], observation.value) for observation in observations]

    return read


def test_completed_and_failed_trials_are_observed_and_no_others(read):
    assert read("0,completed,1.5,0.1", "1,failed,,0.2", "2,preempted,,0.3") == [(0.1, 1.5), (0.2, None)]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_value_that_is_not_finite_is_a_failure(read, value):
    assert read(f"0,completed,{value},0.1") == [(0.1, None)]


@pytest.mark.parametrize("value", ["", "good"])
def test_a_value_that_is_no_number_is_named_with_its_line(read, value):
    with pytest.raises(
        OptionError, match=f"results.csv, line 3: a completed trial has no number, but '{value}'"
    ):
        read("0,completed,1.5,0.1", f"1,completed,{value},0.2")


def test_a_table_in_another_encoding_is_read_as_far_as_it_can_be(read):
    assert read("0,completed,1.5,0.1", "1,failed,,0.2,ä", encoding="latin-1") == [(0.1, 1.5), (0.2, None)]


def test_parameters_that_the_space_lacks_are_named_if_they_had_a_value(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(
        "id,state,value,p:units,p:x,p:never,m:loss\n0,completed,1.5,,0.1,,1.5\n1,failed,,8,0.2,,\n"
    )
    reading = read_observations(path, DECLARATION)
    assert [observation.config for observation in reading.observations] == [{"x": 0.1}, {"x": 0.2}]
    assert (reading.unfit, reading.unknown) == (0, ("units",))
