import pytest

from deephpo import errors
from deephpo.errors import DeephpoError, MissingPackageError, UserError, unknown_name

USER_ERRORS = [
    errors.SpaceError,
    errors.ProblemError,
    errors.OptionError,
    errors.RunDirectoryError,
    errors.LaunchError,
    errors.MissingPackageError,
]


@pytest.mark.parametrize("error", USER_ERRORS)
def test_what_a_user_can_mend_is_a_user_error(error):
    assert issubclass(error, UserError)


def test_all_errors_stand_in_one_tree():
    raised = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert set(USER_ERRORS) < set(raised)
    assert all(issubclass(error, DeephpoError) for error in raised)


def test_a_missing_package_says_what_for_and_how_to_install_it():
    assert str(MissingPackageError("matplotlib", "deephpo report", "plot")) == (
        "deephpo report needs matplotlib, which is not installed: "
        "pip install 'deephpo[plot]', or in a clone pip install '.[plot]'."
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ambz", "There is no search 'ambz'; did you mean 'ambs'? Known: ambs, random."),
        ("zzz", "There is no search 'zzz'. Known: ambs, random."),
        (None, "There is no search None. Known: ambs, random."),
        (5, "There is no search 5. Known: ambs, random."),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name, sentence):
    assert unknown_name("search", name, iter(["ambs", "random"])) == sentence
