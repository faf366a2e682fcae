"""From the journal back to the search as it was: the model, the pending trials, the random numbers.

The search is a function of the order of asks and results, and the journal holds both in that order; so going
through it once more leaves the same model, the same pending trials and the same random numbers.  A strategy
that starts afresh from what it knows now and then need not think all its thoughts again, only those since the
last time; of the others what they led to is enough.

A trial may end more than once, if it was stopped and went on later; what was told of it last counts from then
on, and no sooner.
"""

from __future__ import annotations

from collections.abc import Sequence

from deephpo.engine.suggester import teach
from deephpo.search.search import Search
from deephpo.storage.records import Asked, Ended, Learned, Record, Reported, Resumed, Suggested
from deephpo.trial import Trial, TrialState


def replay(search: Search, records: Sequence[Record], interim: str | None = None) -> int | None:
    """Bring a new search to where the records end.

    interim: the metric by which it is told what running trials are worth so far; None: it is not told.

    Returns the id of the first trial that is seen to be none that the search would suggest now; only the
    initial design and the last frame are looked at.  None if there is none: then, if nothing but the process
    has changed, what follows is exactly what would have followed.
    """
    trials: dict[int, Trial] = {}
    differs: int | None = None
    for record in records:
        if isinstance(record, Learned):
            learn(search, record)
    answered = _answered(records)
    first_needed = _first_ask_of_the_last_frame(search, answered)
    for k, (asked, record) in enumerate(answered):
        if isinstance(record, Suggested):
            trials |= {trial.id: trial for trial in record.trials}
            # Once it differs the journal is right, whatever would be thought now.
            again = search.pass_over if k < first_needed or differs is not None else search.replay
            if not again(asked, record.trials) and differs is None and record.trials:
                differs = record.trials[0].id
        elif isinstance(record, Reported):
            if interim is not None and interim in record.report.metrics:
                search.foretell(record.report.trial_id, record.report.metrics[interim])
        elif isinstance(record, Ended) and _is_result(record):
            teach(search, trials[record.outcome.trial_id], record.outcome)
    return differs


def _first_ask_of_the_last_frame(search: Search, answered: Sequence[tuple[int, Record]]) -> int:
    """Return the place of the first ask that left a trace in the search's thoughts."""
    trials = first = 0
    told: set[int] = set()
    frame = None
    for k, (_, record) in enumerate(answered):
        if isinstance(record, Suggested):
            if (now := search.frame_after(len(told), trials)) != frame:
                frame, first = now, k
            trials += len(record.trials)
        elif isinstance(record, Ended) and _is_result(record):
            told.add(record.outcome.trial_id)  # of one that went on and ended again this is no new result
    return first


def _is_result(record: Ended) -> bool:
    return record.outcome.state is not TrialState.PREEMPTED


def learn(search: Search, record: Learned) -> None:
    """Tell a search that has not been asked yet what an earlier run observed."""
    for observation in record.observations:
        search.learn(observation.config, observation.value)


def _answered(records: Sequence[Record]) -> list[tuple[int, Record]]:
    """Return answers and ends in the order in which the search knew of them.

    An answer is put where it was asked for: results that came while the search was thinking were told to it
    afterwards.  A question that was never answered did not happen.
    """
    ordered: list[tuple[int, Record] | None] = []
    place: tuple[int, int] | None = None
    for record in records:
        if isinstance(record, Asked):
            place = len(ordered), record.q
            ordered.append(None)
        elif isinstance(record, Suggested) and place is not None:
            ordered[place[0]] = (place[1], record)
            place = None
        elif isinstance(record, Ended | Reported):
            ordered.append((0, record))
        elif isinstance(record, Resumed):
            place = None
    return [entry for entry in ordered if entry is not None]
