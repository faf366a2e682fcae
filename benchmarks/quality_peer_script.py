"""The loop of a peer's script: lines of JSON in, lines of JSON out (``quality_peers``).

Standard library only: the peers' own Pythons import it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol


@dataclass(frozen=True)
class Task:
    """What a peer is told before the search."""

    space: dict[str, Any]
    """As ``Space.to_dict`` returns it; a condition names one value of one parent."""
    flavour: str
    seed: int
    workers: int
    results: int

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The parameters in order, parents before children."""
        return list(self.space["parameters"])


class AskedPeer(Protocol):
    """A peer's search."""

    def ask(self) -> tuple[int, Mapping[str, Any]]:
        """Return a number and the active parameters of a new point, which is pending from now on."""

    def tell(self, point: int, loss: float) -> None:
        """Take the loss of a point."""


def condition(parameter: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the parent of a parameter and the value that switches it on; None if it is always on."""
    if "when" not in parameter:
        return None
    [[clause]] = parameter["when"]
    [value] = clause["values"]
    return clause["parameter"], value


def active(parameters: list[dict[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the parameters that are switched on, as plain Python values."""
    config: dict[str, Any] = {}
    for p in parameters:
        needs = condition(p)
        if needs is None or config.get(needs[0]) == needs[1]:
            kind = {"Categorical": str, "Integer": int, "Float": float}[p["kind"]]
            config[p["name"]] = kind(values[p["name"]])
    return config


def main(create: Callable[[Task], AskedPeer], distribution: str) -> None:
    """Search until nobody speaks any more.

    create: from the task to a search.  distribution: the package whose version is told.
    """
    # What a package prints belongs into the error output, not between the lines.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**words: Any) -> None:
        lines.write(json.dumps({**words, "cpu_s": cpu_s}) + "\n")
        lines.flush()

    task = Task(**json.loads(sys.stdin.readline()))
    began = time.process_time()
    search = create(task)
    cpu_s = time.process_time() - began
    say(version=f"{distribution} {version(distribution)}")
    for line in sys.stdin:
        message = json.loads(line)
        answer: dict[str, Any] = {}
        began = time.process_time()
        if "ask" in message:
            point, values = search.ask()
            answer = {"point": point, "config": active(task.parameters, values)}
        else:
            search.tell(message["tell"], message["loss"])
        cpu_s += time.process_time() - began
        say(**answer)
