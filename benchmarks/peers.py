"""The peers beside which deephpo is measured, each in an environment of its own.

    python benchmarks/peers.py [--cache ~/.cache/deephpo/peers]

makes the environments (about three minutes and 4 GB; PyPI is needed) and says which ones there are; other
benchmarks make those that they need when they are asked for peers.  None of it is ever installed beside
deephpo.

Two of them hold torch, which on PyPI comes with CUDA and takes another 5 GB each; the CPU build is enough:

    PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu python benchmarks/peers.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from one_server import Busy

CACHE = Path.home() / ".cache" / "deephpo" / "peers"
REQUIREMENTS = {
    "deephyper": ("deephyper==0.13.2",),
    "optuna": ("optuna==5.*",),
    "optuna-gp": ("optuna==5.*", "torch==2.13.*", "scipy"),
    "hyperopt": ("hyperopt==0.3.*",),
    "smac": ("smac==2.4.*",),
    "ax": ("ax-platform==1.3.*", "torch==2.13.*"),
}
"""What each environment holds, by its name; the first is what it is named for."""


@dataclass(frozen=True)
class Peer:
    """One column of a table: a package, and how it is set."""

    label: str
    package: str
    flavour: str = "default"

    @property
    def script(self) -> Path:
        """The script that measures it, to be run by its own Python."""
        return Path(__file__).with_name(f"peer_{self.package}.py")


PEERS = (
    Peer("DeepHyper tuned", "deephyper", "tuned"),
    Peer("DeepHyper qUCBd", "deephyper", "qUCBd"),
    Peer("DeepHyper default", "deephyper"),
    Peer("Optuna TPE", "optuna"),
)


@dataclass(frozen=True)
class PeerCost:
    """What was found out about one peer: a rate, or why there is none."""

    per_second: float
    """Distinct suggestions per CPU second; where ``bound`` is set, it makes fewer than so many."""
    bound: bool = False
    why: str = ""
    """Why there is no rate; empty if there is one."""


def environment(package: str, cache: Path = CACHE) -> Path | None:
    """Return the Python of a package's environment, which is made if need be; None if it cannot be."""
    directory = cache.expanduser() / package
    python, done = directory / "bin" / "python", directory / "installed"
    wanted = REQUIREMENTS[package]
    if done.exists() and done.read_text() == " ".join(wanted):
        return python
    print(f"installing {' '.join(wanted)} into {directory}", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(directory)],
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted],
    ):
        made = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if made.returncode:
            print(f"{package} cannot be installed: {made.stderr.strip()[-500:]}", file=sys.stderr)
            return None
    done.write_text(" ".join(wanted))
    return python


def version(package: str, cache: Path = CACHE) -> str:
    """Return the version of what an environment is named for; the environment is made if need be."""
    python = environment(package, cache)
    if python is None:
        return "not available"
    distribution = REQUIREMENTS[package][0].split("==")[0]
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout.strip()


def peer_cost(
    peer: Peer, python: Path, space: dict[str, Any], told: int, q: int, *, seeds: int, limit_s: float
) -> PeerCost:
    """Measure a peer as ``rounds.measure`` does, the median of some seeds.

    space: what ``Space.to_dict`` returns.  limit_s: the CPU seconds that telling the past, the first ask and
    the rounds may take each.  Seeds are repeated as long as all of them together have not taken that long.
    """
    rates: list[float] = []
    spent_s = 0.0
    while len(rates) < seeds and spent_s < limit_s:
        cost = _run(peer, python, space, told, q, len(rates), limit_s)
        if cost["trouble"]:
            return PeerCost(0.0, why=cost["trouble"])
        if not cost["suggested"]:
            return PeerCost(q / limit_s, bound=True, why=f"{q:,} take over {limit_s:.0f} s")
        rates.append(cost["distinct"] / cost["cpu_s"])
        spent_s += cost["cpu_s"]
    return PeerCost(median(rates))


def peer_busy(
    peer: Peer, python: Path, space: dict[str, Any], workers: int, until_s: float, limit_s: float
) -> Busy | None:
    """Return how busy a peer's master would keep its workers, as ``one_server`` says; None if it failed."""
    said = _say(peer, python, space, workers=workers, until_s=until_s, seed=1, limit_s=limit_s)
    return None if "trouble" in said else Busy(**said)


def _run(
    peer: Peer, python: Path, space: dict[str, Any], told: int, q: int, seed: int, limit_s: float
) -> dict[str, Any]:
    cost = _say(peer, python, space, told=told, q=q, seed=seed, limit_s=limit_s)
    if cost["trouble"] and "it failed" not in cost["trouble"]:
        cost["trouble"] += f" takes over {limit_s:.0f} s"
    return cost


def _say(peer: Peer, python: Path, space: dict[str, Any], **arguments: float) -> dict[str, Any]:
    """Return what a peer's script says; ``trouble`` if it fails."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
    command = [str(python), str(peer.script), f"--flavour={peer.flavour}", *words]
    # Threads that only wait for work would count as CPU time.
    environ = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        command, input=json.dumps(space), capture_output=True, text=True, env=os.environ | environ
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
        return {"trouble": f"it failed: {last}"}
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return said


def main() -> None:
    """Make the environments, and say what they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    for package in REQUIREMENTS:
        print(f"{package:<12}{version(package, options.cache)}")


if __name__ == "__main__":
    main()
