"""What signals do to a search that runs, that begins, and that is over."""

import os
import signal

import pytest

from deephpo.cli.signals import StopButton, listening

WISHES = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]


@pytest.fixture
def connected():
    """Return a button and the wishes that went through it."""
    wishes = []
    button = StopButton()
    button.connect(wishes.append)
    return button, wishes


@pytest.mark.parametrize("number", WISHES)
def test_a_signal_is_a_wish_while_the_search_runs_and_none_of_our_business_after(number, connected):
    button, wishes = connected
    before = signal.getsignal(number)
    with listening(button):
        os.kill(os.getpid(), number)
    assert wishes == [f"stopped by {number.name}"]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", WISHES)
def test_a_signal_before_there_is_anything_to_end_interrupts_at_once(number):
    before = signal.getsignal(number)

    def interrupted() -> None:
        with listening(StopButton()):
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_at_once(connected):
    button, wishes = connected

    def interrupt(times: int) -> None:
        with listening(button):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    interrupt(1)
    assert wishes == ["stopped by SIGINT"]
    with pytest.raises(KeyboardInterrupt):
        interrupt(2)
    assert wishes == ["stopped by SIGINT"] * 2


def test_schedulers_that_repeat_themselves_interrupt_nothing(connected):
    button, wishes = connected
    with listening(button):
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert len(wishes) == 5


def test_a_button_says_whether_there_was_anything_to_end(connected):
    button, wishes = connected
    assert button.press("enough")
    assert wishes == ["enough"]
    assert not StopButton().press("enough")
