"""How the processes of one trial agree on where they meet."""

from multiprocessing import Pipe

import pytest

from deephpo.worker.inbox import Inbox
from deephpo.worker.messages import Assignment, Meeting
from deephpo.worker.place import Place
from deephpo.worker.rendezvous import Rendezvous

LINES = []
"""The search's ends, which stay open: a line that is closed is a search that is gone."""


def rendezvous(rank, size=3, heard=(), attempt=1):
    """Return a rank's rendezvous, which hears this, and the list to which it sends."""
    sent = []
    place = Place(rank, tuple(range(1, size + 1)), ("here",) * size)
    assignment = Assignment(7, {}, 0, "", attempt, place=place)
    theirs, ours = Pipe()
    LINES.append(theirs)
    for word in heard:
        theirs.send(word)
    return Rendezvous(assignment, sent.append, Inbox(assignment, ours)), sent


def never():
    raise AssertionError("only the leader chooses")


def test_the_leader_chooses_and_tells_the_others():
    leader, sent = rendezvous(0)
    assert leader.agree(lambda: "here:5") == "here:5"
    assert sent == [Meeting(7, 1, "here:5")]


def test_who_is_alone_has_nobody_to_tell():
    leader, sent = rendezvous(0, size=1)
    assert leader.agree(lambda: "here:5") == "here:5"
    assert sent == []


@pytest.mark.parametrize("rank", [1, 2])
def test_the_others_hear_it_and_choose_nothing(rank):
    other, sent = rendezvous(rank, heard=[Meeting(7, 1, "there:9")])
    assert other.agree(never) == "there:9"
    assert sent == []


def test_a_meeting_of_another_trial_or_of_an_earlier_attempt_is_passed_over():
    heard = [Meeting(6, 1, "another"), Meeting(7, 0, "earlier"), Meeting(7, 1, "right")]
    other, _ = rendezvous(1, heard=heard)
    assert other.agree(never) == "right"


def test_a_trial_may_meet_again_and_again_in_the_same_order():
    leader, sent = rendezvous(0)
    chosen = [leader.agree(lambda place=place: place) for place in ("a", "b", "c")]
    other, _ = rendezvous(2, heard=sent)
    assert [other.agree(never) for _ in sent] == chosen == ["a", "b", "c"]


def test_what_the_leader_cannot_choose_is_its_error_and_nobody_is_told():
    leader, sent = rendezvous(0)
    with pytest.raises(OSError, match="no port"):
        leader.agree(lambda: (_ for _ in ()).throw(OSError("no port")))
    assert sent == []
