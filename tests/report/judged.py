"""Runs whose trials were judged by several objectives, made of other runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from deephpo.storage.records import Begun, Ended, Record
from deephpo.trial import TrialState


def judged(
    records: Sequence[Record],
    rule: str,
    returned: Sequence[Mapping[str, float]] = (),
    stopped: Collection[int] = (),
) -> list[Record]:
    """Return a run's records as those of one under a stopping rule.

    returned: what each trial returned beside its value.  stopped: the trials that were stopped.
    """
    return [_judged(record, rule, returned, stopped) for record in records]


def _judged(
    record: Record, rule: str, returned: Sequence[Mapping[str, float]], stopped: Collection[int]
) -> Record:
    if isinstance(record, Begun):
        return replace(record, options={"stop": {"value": rule, "origin": "command line"}})
    if not isinstance(record, Ended):
        return record
    outcome = record.outcome
    if returned:
        outcome = replace(outcome, metrics={**outcome.metrics, **returned[outcome.trial_id]})
    if outcome.trial_id in stopped:
        outcome = replace(outcome, state=TrialState.STOPPED)
    return replace(record, outcome=outcome)
