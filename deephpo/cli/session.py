"""A search that is ready to run, with all that it needs; any driver runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deephpo.cli.options import SearchOptions
from deephpo.engine.backlog import Backlog
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.deadline import Deadline, notice_s
from deephpo.engine.events import Write
from deephpo.engine.loop import Driver, SearchLoop
from deephpo.engine.suggester import Suggester
from deephpo.engine.terms import Terms
from deephpo.problem import Declaration
from deephpo.schedulers.end_of_job import seconds_left
from deephpo.search.search import Search
from deephpo.stopping.judge import Judge
from deephpo.storage.freezer import Freezer
from deephpo.storage.journal import Journal
from deephpo.storage.recorder import RunRecorder, Watcher
from deephpo.storage.records import Begun, Finished, Learned, Resumed
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.worker.limits import Limits
from deephpo.worker.sizing import FixedSize, Sizing


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
            interim=interim_metric(declaration, options),
            synchronous=options.synchronous,
            ranks_per_trial=self.sizing.expected,
        )


def interim_metric(declaration: Declaration, options: SearchOptions) -> str | None:
    """Return the metric by which the search wants to be told what running trials are worth so far."""
    return declaration.objective if options.strategy.get("lie") == "premature" else None
