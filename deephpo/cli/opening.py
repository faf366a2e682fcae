"""From a problem or a run directory to a session: everything that can be refused is looked at here."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

from deephpo import __version__
from deephpo.cli.judging import judge_of, with_rule
from deephpo.cli.options import SearchOptions
from deephpo.cli.session import Session, interim_metric
from deephpo.drivers.local import cores_here
from deephpo.engine.backlog import backlog_of
from deephpo.engine.replay import learn, replay
from deephpo.errors import OptionError, RunDirectoryError
from deephpo.problem import Declaration
from deephpo.schedulers.create import scheduler_of_job
from deephpo.schedulers.end_of_job import seconds_left
from deephpo.search.create import create_search
from deephpo.search.search import Search
from deephpo.storage.changes import changes_between
from deephpo.storage.journal import Journal, Place, read_journal
from deephpo.storage.observations import read_observations
from deephpo.storage.ownership import claim, possible_writer
from deephpo.storage.records import Begun, Learned, Record, Resumed
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.worker.description import describe
from deephpo.worker.loading import is_file, split_target
from deephpo.worker.sizing import sizing_of

_DYING_S = 60.0
"""For so long at most the processes of a job's step that crashed go on: Slurm kills them after 30 seconds."""


def begin(
    target: str,
    options: SearchOptions,
    run_dir: Path | None,
    keep: bool = True,
    workers: int | None = None,
    real_time: bool = True,
) -> Session:
    """Return a new search; raises UserError for all that is wrong, before anything is written.

    run_dir: where it is kept, None for the default place.  keep: whether it is kept at all.  workers: how
    many there are; None: as the options say, else as many as there are cores.  real_time: as of Session.
    """
    declaration = describe(target)
    options = with_rule(options, declaration)
    judge = judge_of(declaration, options)
    search = _search(declaration, options)
    learned = None if options.warm_start is None else _learn(search, declaration, options.warm_start)
    if real_time:
        seconds_left()
    workers = workers or options.workers or cores_here()
    sizing = sizing_of(target, declaration, options.ranks_per_trial, workers)
    try:
        directory, journal = _place_of(declaration, run_dir, keep)
    except BaseException:
        sizing.close()
        raise
    opening = Begun(
        0.0, __version__, platform.node(), _lasting(target), declaration.to_dict(), options.to_dict()
    )
    return Session(
        target,
        options,
        declaration,
        search,
        journal,
        directory,
        opening,
        real_time,
        learned=learned,
        workers=workers,
        sizing=sizing,
        judge=judge,
    )


def _place_of(
    declaration: Declaration, run_dir: Path | None, keep: bool
) -> tuple[RunDirectory | None, Journal]:
    """Make the directory of a new run, unless it is not kept, and claim its journal."""
    directory = RunDirectory(run_dir or default_directory(declaration)) if keep else None
    if directory is not None:
        directory.create()
    journal = Journal(directory.journal if directory else None)
    if directory is None:
        return None, journal
    try:
        _claim(journal, directory, None if journal.created else platform.node())
        directory.create()  # once more: whoever had an empty journal before us may have written to it
    except BaseException:
        journal.close()
        raise
    return directory, journal


def _claim(journal: Journal, directory: RunDirectory, last_host: str | None) -> None:
    """Become the journal's writer; in a batch job the last one, which may not be dead yet, is waited for."""
    patience_s = 0.0 if scheduler_of_job() is None or sys.stderr.isatty() else _DYING_S
    claim(journal, str(directory.journal), platform.node(), last_host, _say, patience_s)


def _become_writer(journal: Journal, directory: RunDirectory, records: list[Record], place: Place) -> None:
    """Claim a run's journal, and add to its records what came until then: somebody else may have written."""
    writer = possible_writer(directory.journal, records, place)
    _claim(journal, directory, writer)
    records += read_journal(directory.journal, place)
    if writer is None and (writer := possible_writer(directory.journal, records, place)) is not None:
        # Meanwhile another search went on with the one that had ended.
        _claim(journal, directory, writer)
        records += read_journal(directory.journal, place)
    journal.repair()


def resume(
    directory: RunDirectory,
    change: Callable[[SearchOptions], SearchOptions],
    accept: bool,
    workers: int | None = None,
    ready: bool = True,
) -> Session:
    """Return the search of a run directory where it stopped.

    change: from its options to those that it goes on with.  accept: whether the problem may have changed
    harmlessly.  workers: as for :func:`begin`.  ready: whether it is to run; otherwise its model is not made
    anew, which takes time, and nobody is asked when the job ends.  Raises UserError if there is no run, if
    another search is writing to it, or if the problem changed.
    """
    directory.require()
    journal = Journal(directory.journal, resume=True)
    try:
        return _take_over(directory, journal, change, accept, workers, ready)
    except BaseException:
        journal.close()  # and with it the claim
        raise


def _take_over(
    directory: RunDirectory,
    journal: Journal,
    change: Callable[[SearchOptions], SearchOptions],
    accept: bool,
    workers: int | None,
    ready: bool,
) -> Session:
    place = Place()
    records = list(read_journal(directory.journal, place))
    begun = _beginning(records, directory)
    declaration = describe(begun.target)  # what is refused here need not wait for the claim
    _become_writer(journal, directory, records, place)
    state = RunState(records)
    recorded = state.declaration or Declaration.from_dict(begun.declaration)
    _check_changes(recorded, declaration, accept)
    options = with_rule(change(SearchOptions.from_dict(state.options)), declaration)
    judge = judge_of(declaration, options)
    judge.recall(records)
    search = _search(declaration, options)
    if ready:
        _go_through_again(
            search, records, interim_metric(declaration, options), aloud=recorded == declaration
        )
    learned = _learn_at_last(search, declaration, options.warm_start, records)
    workers = workers or options.workers or cores_here()
    backlog = backlog_of(records)
    if options.ranks_per_trial is not None:
        backlog = backlog.resized(options.ranks_per_trial)
    opening = Resumed(state.now_s, __version__, platform.node(), declaration.to_dict(), options.to_dict())
    return Session(
        begun.target,
        options,
        declaration,
        search,
        journal,
        directory,
        opening,
        state=state,
        backlog=backlog,
        learned=learned,
        workers=workers,
        sizing=sizing_of(begun.target, declaration, options.ranks_per_trial, workers, resumed=True),
        judge=judge,
        real_time=ready,
    )


def _go_through_again(search: Search, records: Sequence[Record], interim: str | None, aloud: bool) -> None:
    """Let a search think what it thought before; aloud: if that is something else now, say so."""
    differs = replay(search, records, interim)
    if differs is not None and aloud:
        _say(
            f"From trial {differs} on the journal differs from what this installation would suggest (another "
            "version of numpy or scikit-learn?); the search goes on with what the journal says."
        )


def _learn_at_last(
    search: Search, declaration: Declaration, source: Path | None, records: Sequence[Record]
) -> Learned | None:
    """Tell a search what it was to learn, if its first process was killed between its first two records."""
    if source is None or any(isinstance(record, Learned) for record in records):
        return None
    return _learn(search, declaration, source)


def _beginning(records: Sequence[Record], directory: RunDirectory) -> Begun:
    """Return the first record of a run; raises RunDirectoryError if there is none."""
    begun = records[0] if records else None
    if not isinstance(begun, Begun):
        raise RunDirectoryError(
            f"{directory.journal} has no first record: the search had not begun. Remove it, and begin "
            f"anew: deephpo search PROBLEM --run-dir {directory.path}"
        )
    return begun


def _learn(search: Search, declaration: Declaration, source: Path) -> Learned:
    """Tell a new search what an earlier run observed."""
    observations, unfit, unknown = read_observations(source, declaration)
    if not observations:
        raise OptionError(f"--warm-start: {source} holds no observation that fits this problem's space.")
    learned = Learned(0.0, str(source), observations)
    learn(search, learned)
    said = [f"warm start with {len(observations)} observations from {source}"]
    if unfit:
        said.append(f"{unfit} do not fit the space")
    if unknown:
        said.append(f"parameters that the space does not have are left out: {', '.join(unknown)}")
    _say("; ".join(said))
    return learned


def _search(declaration: Declaration, options: SearchOptions) -> Search:
    """Return a new search, which computes on one core, as do all BLAS calls of this process from then on.

    The other cores are the workers'.  Threads of a BLAS library spin while they wait for each other, which
    beside busy workers costs more time than they save.  And their number decides how sums are rounded, which
    a search that is resumed on another machine would see.
    """
    search = create_search(
        options.search,
        declaration.space,
        direction=declaration.direction,
        seed=options.seed,
        start=declaration.start,
        **options.strategy,
    )
    threadpool_limits(1, user_api="blas")  # of the libraries that the search has loaded by now
    return search


def _check_changes(before: Declaration, now: Declaration, accept: bool) -> None:
    changes = changes_between(before, now)
    if changes.harmful:
        raise OptionError(
            f"The problem is not the one of this run any more: {'; '.join(changes.harmful)}. "
            "Undo the change, or begin a new search."
        )
    if changes.harmless and not accept:
        raise OptionError(
            f"The problem changed since: {'; '.join(changes.harmless)}. "
            "If that is meant, say --accept-changes."
        )


def _lasting(target: str) -> str:
    """Return the target as it can be found from any working directory, if it is a file."""
    place, _ = split_target(target)
    return str(Path(place).resolve()) + target[len(place) :] if is_file(place) else target


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # stdout may be a single JSON object


def default_directory(declaration: Declaration) -> Path:
    """Return runs/NAME-DATE-TIME, with a number behind it if that exists."""
    base = Path("runs") / f"{declaration.name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidates = [base, *(base.with_name(f"{base.name}-{k}") for k in range(2, 100))]
    return next((path for path in candidates if not path.exists()), base)
