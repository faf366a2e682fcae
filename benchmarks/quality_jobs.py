"""Many searches side by side, each kept as one line of JSON as soon as it has ended."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from peers import environment
from quality_peers import PEERS

Kept = TypeVar("Kept")
"""What is kept of one search, a dataclass."""


def run_all(
    run: Callable[..., Kept],
    jobs: Sequence[tuple[Any, ...]],
    processes: int,
    path: Path | None,
    reused: Iterable[Kept],
) -> tuple[list[Kept], int]:
    """Run all jobs; return what is kept of them, and how many failed.

    run: a function of a module.  jobs: its arguments; the first one is the word of an optimizer.
    path: a file that gets what is reused at once, and the rest line by line.
    """
    if path:
        _write(path, reused)
    for peer in dict.fromkeys(PEERS[word].environment for word, *_ in jobs if word in PEERS):
        environment(peer)
    # Each search is one process; threads of its own would count as CPU time.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    kept: list[Kept] = []
    failures = 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, *job): job for job in jobs}
        for future in as_completed(running):
            error = future.exception()
            if error is not None:
                failures += 1
                print(f"# {running[future]} failed: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            kept.append(future.result())
            print(f"# {len(kept)} of {len(jobs)}: {kept[-1]}", file=sys.stderr)
            if path:
                with path.open("a") as file:
                    file.write(_line(kept[-1]))
    return kept, failures


def read(paths: Iterable[Path], kind: Callable[..., Kept]) -> list[Kept]:
    """Return what files of :func:`run_all` hold; kind is the dataclass."""
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [kind(**json.loads(line)) for line in lines]


def check_free(path: Path | None, reused: Collection[Path]) -> None:
    """Raise ValueError if runs that a file holds would be lost: it exists, and is not among those reused."""
    if path and path.exists() and path not in reused:
        raise ValueError(f"{path} exists: add --reuse {path} to go on with it, or delete it")


def _write(path: Path, kept: Iterable[Kept]) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_text("".join(map(_line, kept)))
    fresh.replace(path)


def _line(kept: Any) -> str:
    return json.dumps(asdict(kept)) + "\n"
