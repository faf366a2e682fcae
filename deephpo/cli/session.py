"""One search from its parts: the problem, the strategy, the run directory and its journal; any driver."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deephpo import __version__
from deephpo.cli.judging import judge_of, with_rule
from deephpo.cli.options import SearchOptions
from deephpo.drivers.local import cores_here
from deephpo.engine.backlog import Backlog, backlog_of
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.deadline import Deadline, notice_s
from deephpo.engine.events import Write
from deephpo.engine.loop import Driver, SearchLoop
from deephpo.engine.replay import learn, replay
from deephpo.engine.suggester import Suggester
from deephpo.engine.terms import Terms
from deephpo.errors import OptionError, RunDirectoryError
from deephpo.problem import Declaration
from deephpo.schedulers.create import scheduler_of_job
from deephpo.schedulers.end_of_job import seconds_left
from deephpo.search.create import create_search
from deephpo.search.search import Search
from deephpo.stopping.judge import Judge
from deephpo.storage.changes import changes_between
from deephpo.storage.freezer import Freezer
from deephpo.storage.journal import Journal, Place, read_journal
from deephpo.storage.observations import read_observations
from deephpo.storage.ownership import claim, possible_writer
from deephpo.storage.recorder import RunRecorder, Watcher
from deephpo.storage.records import Begun, Finished, Learned, Record, Resumed
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.worker.description import describe
from deephpo.worker.limits import Limits
from deephpo.worker.loading import is_file, split_target
from deephpo.worker.sizing import FixedSize, Sizing, sizing_of

_LOGGER = logging.getLogger("deephpo")


_DYING_S = 60.0
"""For so long at most the processes of a job's step that crashed go on: Slurm kills them after 30 seconds."""


@dataclass
class Session:
    """A search that is ready to run: everything that can be refused was looked at."""

    target: str
    options: SearchOptions
    declaration: Declaration
    search: Search
    journal: Journal
    directory: RunDirectory | None
    """None for a simulation that writes nothing."""
    opening: Begun | Resumed
    """The first record of this process."""
    real_time: bool = True
    """Whether the search runs on the clock on the wall, by which a batch job ends."""
    state: RunState = field(default_factory=RunState)
    backlog: Backlog = field(default_factory=Backlog)
    learned: Learned | None = None
    """What the search was told before its first trial."""
    workers: int = 1
    """How many there are, as far as that is known."""
    sizing: Sizing = field(default_factory=lambda: FixedSize(1))
    """How many of them train a trial together."""
    judge: Judge | None = None
    """Stops hopeless trials; None if none is to be stopped."""

    @property
    def began_s(self) -> float:
        """How long the search had been going on when this process began."""
        return self.opening.time_s

    @property
    def deadline(self) -> Deadline | None:
        """When this process must be done: by the user's time limit, or by the job's end if that is sooner."""
        limit_s = self.options.time_limit_s
        job_s = seconds_left() if self.real_time else None
        if job_s is not None and (limit_s is None or job_s < limit_s):
            return Deadline(self.began_s + job_s, asked_for=False)
        return None if limit_s is None else Deadline(self.began_s + limit_s)

    @property
    def notice_s(self) -> float:
        """How long before the end running trials are to stop by themselves."""
        return 0.0 if self.deadline is None else notice_s(self.deadline.time_s - self.began_s)

    @property
    def limits(self) -> Limits:
        """What one trial may take: as the command line says, else as the problem says."""
        options, declared = self.options, self.declaration
        return Limits(
            declared.trial_timeout_s if options.trial_timeout_s is None else options.trial_timeout_s,
            declared.trial_memory_bytes if options.trial_memory_bytes is None else options.trial_memory_bytes,
        )

    def run(
        self,
        driver: Driver,
        suggester: Suggester,
        watchers: Sequence[Watcher] = (),
        *,
        workers: int | None = None,
        lease_s: float | None = None,
        listen: Callable[[Callable[[str], None]], None] = lambda stop: None,
    ) -> int:
        """Search to the end; returns the exit code.

        workers, lease_s: as in Terms.  listen: is given the function that asks for the end.
        Raises JournalFullError when nothing can be recorded any more.
        """
        freezer = Freezer()
        recorder = RunRecorder(self.journal, self.state, [*watchers, freezer])
        coordinator = Coordinator(self._terms(workers, lease_s), self.backlog, self.judge)
        loop = SearchLoop(coordinator, suggester, driver, recorder, self.began_s)
        listen(loop.request_stop)
        try:
            recorder.write([self.opening] if self.learned is None else [self.opening, self.learned])
            return loop.run()
        finally:
            suggester.close()  # the loop may never have run
            self.sizing.close()
            freezer.thaw()
            driver.close()
            self.journal.close()

    def foregone_end(self) -> Finished | None:
        """Return how the search would end before any trial began; None if there is something to do."""
        coordinator = Coordinator(self._terms(self.workers, None), self.backlog, self.judge)
        actions = coordinator.handle([], self.began_s)
        records = [action.record for action in actions if isinstance(action, Write)]
        return next((record for record in records if isinstance(record, Finished)), None)

    def give_up(self) -> None:
        """Give back what it holds, in the place of running it."""
        self.sizing.close()
        self.journal.close()

    def _terms(self, workers: int | None, lease_s: float | None) -> Terms:
        options, declaration = self.options, self.declaration
        return Terms(
            options.trials,
            self.deadline,
            direction=declaration.direction,
            goal=options.goal,
            plateau=options.plateau,
            node_hours=options.node_hours,
            retries=options.retries,
            lease_s=lease_s,
            resumable=declaration.resumable,
            promote=options.promote,
            workers=workers,
            interim=_interim(declaration, options),
            synchronous=options.synchronous,
            ranks_per_trial=self.sizing.expected,
        )


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
    differs = replay(search, records, _interim(declaration, options)) if ready else None
    if differs is not None and recorded == declaration:
        _say(
            f"From trial {differs} on the journal differs from what this installation would suggest (another "
            "version of numpy or scikit-learn?); the search goes on with what the journal says."
        )
    learned = None
    if options.warm_start is not None and not any(isinstance(record, Learned) for record in records):
        # The first process was killed between its first two records.
        learned = _learn(search, declaration, options.warm_start)
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
    return create_search(
        options.search,
        declaration.space,
        direction=declaration.direction,
        seed=options.seed,
        start=declaration.start,
        **options.strategy,
    )


def _interim(declaration: Declaration, options: SearchOptions) -> str | None:
    """Return the metric by which the search wants to be told what running trials are worth so far."""
    return declaration.objective if options.strategy.get("lie") == "premature" else None


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


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Send deephpo's log to a file, with the time before each line."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        handler.close()
