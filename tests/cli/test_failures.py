"""From an exception to what the user reads and the program ends with."""

import pytest

from deephpo.cli.failures import explain
from deephpo.errors import LaunchError, OptionError, UserError


@pytest.mark.parametrize("kind", [UserError, OptionError, LaunchError])
def test_a_users_mistake_is_one_sentence(kind, capsys):
    assert explain(kind("Write it so.")) == 2
    assert capsys.readouterr() == ("", "deephpo: Write it so.\n")


def test_an_interrupt_is_no_mistake(capsys):
    assert explain(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "deephpo: interrupted.\n")


def test_a_mistake_of_ours_is_a_traceback(capsys):
    def fail() -> None:
        raise ValueError("this cannot be")

    with pytest.raises(ValueError, match="this cannot be") as caught:
        fail()
    assert explain(caught.value) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback (most recent call last)")
    assert "in fail" in err
    assert err.endswith("ValueError: this cannot be\n")


@pytest.mark.parametrize("code", [0, 3, 75])
def test_an_exit_keeps_its_code(code, capsys):
    assert explain(SystemExit(code)) == code
    assert capsys.readouterr() == ("", "")
