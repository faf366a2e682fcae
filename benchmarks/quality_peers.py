"""The peers of ``quality``: each one a process of its own Python, spoken to in lines of JSON.

What a peer is told first is the space and what it may know of the setting; then an ask is answered by a
configuration, and a result by nothing.  Each line of its carries the CPU seconds that it has taken so far,
those of starting Python and of reading and writing lines left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from peers import CACHE, environment

from deephpo.trial import Config


@dataclass(frozen=True)
class QualityPeer:
    """A peer as it is set: its environment in ``peers.REQUIREMENTS``, its script, and what that is told."""

    environment: str
    script: str
    flavour: str = "default"

    @property
    def path(self) -> Path:
        """The script, to be run by its own Python."""
        return Path(__file__).with_name(f"quality_peer_{self.script}.py")


PEERS = {
    "optuna-tpe": QualityPeer("optuna", "optuna", "tpe"),
    "optuna-tpe-univariate": QualityPeer("optuna", "optuna", "tpe-univariate"),
    "optuna-gp": QualityPeer("optuna-gp", "optuna", "gp"),
    "hyperopt": QualityPeer("hyperopt", "hyperopt"),
    "deephyper": QualityPeer("deephyper", "deephyper"),
    "smac": QualityPeer("smac", "smac"),
    "ax": QualityPeer("ax", "ax"),
}
"""The peers by their words; each script says what its flavours are."""


class PeerFailedError(Exception):
    """A peer ended before its search did; the message ends with its own last words."""


class PeerProcess:
    """A peer at work on one search; use it as a context, which ends the process."""

    def __init__(
        self, peer: QualityPeer, space: dict[str, Any], seed: int, workers: int, results: int
    ) -> None:
        python = environment(peer.environment, CACHE)
        if python is None:
            raise PeerFailedError(f"The environment of {peer.environment} could not be made.")
        self.cpu_s = 0.0
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  (it is open as long as the process runs)
        # Threads that only wait for work would count as CPU time.
        environ = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [str(python), str(peer.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=os.environ | environ,
        )
        setting = {"flavour": peer.flavour, "seed": seed, "workers": workers, "results": results}
        self.version = str(self._answer({"space": space, **setting})["version"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def ask(self) -> tuple[int, Config]:
        """Return the number and the configuration of a new point."""
        answer = self._answer({"ask": True})
        return answer["point"], answer["config"]

    def tell(self, point: int, loss: float) -> None:
        """Take the loss of a point."""
        self._answer({"tell": point, "loss": loss})

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Say one line and return the answer; raises PeerFailedError if there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            last = self._said.read().strip()[-500:]
            raise PeerFailedError(f"It ended before its search did: {last or 'it said nothing'}")
        answer: dict[str, Any] = json.loads(line)
        self.cpu_s = answer["cpu_s"]
        return answer
