"""What a trial hears while it runs, and from whom."""

import signal
import threading
import time
from contextlib import contextmanager
from multiprocessing import Pipe

import pytest

from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Halt, Meeting


@pytest.fixture
def line():
    """The search's end of a line, and the inbox of trial 7, started for the second time, at the other."""
    theirs, ours = Pipe()
    yield theirs, Inbox(Assignment(7, {}, 0, "", attempt=1), ours)
    theirs.close()
    ours.close()


@contextmanager
def alarms(handler, every_s):
    """Interrupt this thread again and again."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, every_s, every_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_nothing_is_heard_before_one_looks(line):
    search, inbox = line
    inbox.look()
    assert not inbox.halted
    search.send(Halt(7))
    assert not inbox.halted
    inbox.look()
    assert inbox.halted
    inbox.look()
    assert inbox.halted


def test_what_is_meant_for_a_trial_that_is_over_is_not_for_this_one(line):
    search, inbox = line
    for message in (Halt(6), Meeting(6, 1, "there"), Meeting(7, 0, "where it was before"), "nonsense"):
        search.send(message)
    search.send(Meeting(7, 1, "here"))
    assert inbox.next_meeting() == Meeting(7, 1, "here")
    assert not inbox.halted


def test_meetings_are_kept_in_their_order_whoever_took_them_in(line):
    search, inbox = line
    for where in ("first", "second"):
        search.send(Meeting(7, 1, where))
    search.send(Halt(7))
    inbox.look()
    assert inbox.halted
    assert [inbox.next_meeting().where for _ in range(2)] == ["first", "second"]


def test_who_waits_for_a_meeting_hears_that_it_is_to_stop(line):
    search, inbox = line
    search.send(Halt(7))
    search.send(Meeting(7, 1, "here"))
    assert inbox.next_meeting().where == "here"
    inbox.look()
    assert inbox.halted


def test_a_meeting_that_comes_later_is_waited_for(line):
    search, inbox = line
    threading.Timer(0.1, search.send, [Meeting(7, 1, "here")]).start()
    assert inbox.next_meeting().where == "here"


def test_who_waits_for_a_meeting_when_the_search_is_gone_is_told_so(line):
    search, inbox = line
    search.close()
    with pytest.raises(EOFError):
        inbox.next_meeting()


def test_a_trial_that_is_over_leaves_on_the_line_what_comes_for_the_next(line):
    search, inbox = line
    inbox.close()
    search.send(Halt(7))
    inbox.look()
    assert not inbox.halted
    with pytest.raises(EOFError):
        inbox.next_meeting()


def test_a_thread_that_waits_lets_the_others_look(line):
    search, inbox = line
    heard = []
    waiting = threading.Thread(target=lambda: heard.append(inbox.next_meeting().where))
    waiting.start()
    time.sleep(0.02)
    search.send(Halt(7))
    began = time.monotonic()
    while not inbox.halted:
        inbox.look()
        assert time.monotonic() - began < 5
    search.send(Meeting(7, 1, "here"))
    waiting.join(5)
    assert heard == ["here"]


def test_several_threads_may_look_at_once_and_each_message_is_read_whole(line):
    search, inbox = line
    meetings = [Meeting(7, 1, f"{k}" * 1000) for k in range(300)]
    done = threading.Event()

    def look():
        while not done.is_set():
            inbox.look()

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for meeting in meetings:
        search.send(meeting)
    try:
        heard = [inbox.next_meeting() for _ in meetings]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    # Who takes a message in puts it where it belongs before another thread may take the next.
    assert heard == meetings


def test_a_look_in_a_signal_handler_does_not_break_the_message_that_is_being_read(line):
    search, inbox = line
    meetings = [Meeting(7, 1, f"{k}" * 50_000) for k in range(1, 400)]
    sender = threading.Thread(target=lambda: [search.send(meeting) for meeting in meetings])
    with alarms(lambda *_: inbox.look(), 0.0005):
        sender.start()
        heard = [inbox.next_meeting() for _ in meetings]
        sender.join()
    assert heard == meetings


def test_a_trial_that_nobody_speaks_to_hears_nothing():
    inbox = Inbox(Assignment(7, {}, 0, ""))
    inbox.look()
    assert not inbox.halted
