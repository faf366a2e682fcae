"""What all job scripts have in common: the ground that a search needs, and its life until the job's end.

Texts from pure functions: nothing is looked up here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from deephpo.schedulers.protocol import Names
from deephpo.schedulers.request import Request, many

RESTARTS = 2
"""So often a search that crashed is started again without having got any further."""

_OF_MODULES = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
"""What modules change that a search cannot do without."""


def heading(request: Request, names: Names) -> list[str]:
    """Return what the script is, as comments."""
    searchers = f"1 master, {many(request.placement.workers, 'worker')}"
    return [
        "#!/bin/bash",
        f"# A search of {request.problem}: {searchers} on {request.nodes_in_words}.",
        "# Submitted again it goes on where the search stopped:",
        f"#   {names.submit} {request.script}",
    ]


def place(request: Request, names: Names) -> list[str]:
    """Return where the job runs and writes."""
    return [f"run={shlex.quote(request.run_dir)}", f"cd {_start(request, names)} || exit"]


def ground(request: Request, names: Names) -> list[str]:
    """Return what has to be there before the search is started."""
    return [
        "# The time above, in seconds: the search watches this clock, and is done before the job is ended.",
        f"export DEEPHPO_END_TIME=$(($(date +%s) + {request.walltime_s}))",
        *_modules(request),
        *(f"export {name}={shlex.quote(value)}" for name, value in _environment(request).items()),
        "",
        *_launch(request, names),
    ]


def _modules(request: Request) -> list[str]:
    if not request.modules:
        return []
    return [
        f"for module in {_words(request.modules)}; do",
        '    module load "$module" && continue',
        '    echo "job.sh: the module $module could not be loaded: mend that line, or --modules" >&2',
        "    exit 2",
        "done",
    ]


def _environment(request: Request) -> dict[str, str]:
    return {**request.machine.environment, **dict(request.environment)}


def _start(request: Request, names: Names) -> str:
    return f'"${names.submit_dir}"' if request.start_dir is None else shlex.quote(request.start_dir)


def _launch(request: Request, names: Names) -> list[str]:
    lines = []
    if request.launcher.hosts is not None:
        lines.append(f'{names.nodes} | {request.launcher.hosts(request.placement)} >"$run/hosts"')
    if request.launcher.unset:
        lines.append(f"unset {' '.join(request.launcher.unset)}")
    command = request.launcher.command(request.placement)
    if request.launcher_path:
        command = f"{shlex.quote(request.launcher_path)}/{command}"
    return [*lines, f"launch=({' '.join([command, *_forwarded(request), _words(request.program)])})"]


def _forwarded(request: Request) -> list[str]:
    """Return what tells the launcher which variables ranks on other nodes need, if it wants to be told."""
    option = request.launcher.forward
    if not option:
        return []
    # mpirun complains of one that it is to hand on and that is not set.
    given = _environment(request)
    changed = [name for name in _OF_MODULES if request.modules and name not in given]
    return [
        *(f"${{{name}:+{option} {name}}}" for name in changed),
        *(f"{option} {name}" for name in given),
    ]


def life(request: Request) -> list[str]:
    """Return the search itself: begun or resumed, started again when it crashes; its exit code is in rc."""
    return [
        "# How many trials have a result; those that go out again have none.",
        """ended() { grep -s '"kind":"Ended"' "$run/journal.jsonl" | grep -cv '"state":"preempted"'; }""",
        "",
        "warned=0 crashes=0",
        "while :; do",
        "    before=$(ended)",
        '    if [ -s "$run/journal.jsonl" ]; then',
        f'        "${{launch[@]}}" resume "$run"{_changes(request)}{_share(request)} &',
        "    else",
        *_begin(request),
        "    fi",
        "    search=$!",
        "    # A signal that is trapped interrupts the wait; the exit code is had by waiting again.",
        '    while wait "$search"; rc=$?; [ $rc -gt 128 ] && kill -0 "$search" 2>/dev/null; do :; done',
        '    if [ $rc -gt 128 ]; then wait "$search" 2>/dev/null; last=$?; [ $last = 127 ] || rc=$last; fi',
        "    # 0: done; 2: what was asked for is wrong; 3: every trial failed; 75: it can be resumed.",
        "    case $rc in 0 | 2 | 3 | 75) break ;; esac",
        "    if [ $warned = 1 ]; then rc=75; break; fi",
        '    if [ "$(ended)" -gt "$before" ]; then crashes=0; fi',
        "    crashes=$((crashes + 1))",
        f"    if [ $crashes -gt {RESTARTS} ]; then",
        '        echo "job.sh: the search failed $crashes times and got no further; last exit code: $rc" >&2',
        "        break",
        "    fi",
        '    echo "job.sh: the search failed with exit code $rc; it is started again" >&2',
        "done",
    ]


def _begin(request: Request) -> list[str]:
    if not request.arguments:
        return [
            '        echo "job.sh: there is no run in $run that could be resumed" >&2',
            "        exit 2",
        ]
    words = _words(request.arguments)
    return [f'        "${{launch[@]}}" search {words} --run-dir "$run"{_share(request)} &']


def _changes(request: Request) -> str:
    return f" {_words(request.changes)}" if request.changes else ""


def _share(request: Request) -> str:
    return " --share-gpus" if request.share_gpus else ""


def again(request: Request, names: Names, follow: Iterable[str]) -> list[str]:
    """Return what is to be done after the search: to follow up a job whose time was up, if that is asked for.

    follow: the lines that do it.
    """
    chain: list[str] = []
    if request.chain:
        chain = [
            f'if [ $rc = 75 ] && [ "${{{names.restarts}:-0}}" -lt {request.chain} ]; then',
            *(f"    {line}" for line in follow),
            "fi",
        ]
    return [
        *chain,
        f'[ $rc != 75 ] || echo "job.sh: not done yet; to go on: {names.submit} {request.script}"',
        "exit $rc",
    ]


def _words(words: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, words))
