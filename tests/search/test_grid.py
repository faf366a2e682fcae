from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space


def configs(space, q):
    return [trial.config for trial in create_search("grid", space).ask(q)]


def test_the_last_parameter_moves_fastest():
    space = Space([Categorical("a", ["x", "y"]), Integer("n", 1, 3)])
    assert configs(space, 100) == [{"a": a, "n": n} for a in "xy" for n in (1, 2, 3)]


def test_a_parameter_with_many_values_is_thinned_to_ten_with_both_bounds():
    xs = [config["x"] for config in configs(Space([Float("x", -1, 1)]), 100)]
    assert len(xs) == 10
    assert (xs[0], xs[-1]) == (-1, 1)


def test_a_categorical_keeps_all_of_its_values_whatever_their_number():
    values = [config["c"] for config in configs(Space([Categorical("c", list(range(30)))]), 100)]
    assert values == list(range(30))


def test_the_end_of_the_grid_is_the_end_of_the_search():
    search = create_search("grid", Space([Float("x", 0, 1)]))
    assert len(search.ask(10)) == 10
    assert not search.exhausted
    assert search.ask(3) == []
    assert search.exhausted


def test_a_switched_off_parameter_does_not_multiply_the_grid():
    space = Space([Categorical("a", ["x", "y"]), Integer("n", 1, 3, when={"a": "y"})])
    assert configs(space, 100) == [{"a": "x"}, *({"a": "y", "n": n} for n in (1, 2, 3))]


def test_a_starting_point_on_the_grid_is_not_asked_again():
    search = create_search("grid", Space([Integer("n", 1, 4)]), start=[{"n": 3}])
    assert [trial.config["n"] for trial in search.ask(100)] == [3, 1, 2, 4]
