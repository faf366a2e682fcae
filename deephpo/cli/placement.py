"""What ``deephpo doctor`` shows where an MPI launcher started it: who is where, with which GPU and cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deephpo.drivers.placement import Seat, flaws_of, seats_of
from deephpo.drivers.world import MASTER, World, join_world
from deephpo.hardware.devices import VARIABLES
from deephpo.report.summary import table
from deephpo.schedulers.job import job_line


def look_around() -> tuple[World, dict[str, Any]]:
    """Join the other ranks; returns what was found as plain values, which is nothing but on the master.

    Raises LaunchError when launcher and MPI do not fit together.
    """
    world = join_world()
    seats = seats_of(world)
    if world.rank != MASTER:
        return world, {}
    return world, {
        "job": job_line(),
        "library": world.library,
        "thread_level": world.thread_level,
        "survives": world.survives,
        "seats": [_plain(seat) for seat in seats],
        "flaws": [world.refusal] * bool(world.refusal) + flaws_of(seats),
    }


def _plain(seat: Seat) -> dict[str, Any]:
    return {
        "host": seat.host,
        "rank": seat.rank,
        "role": "master" if seat.rank == MASTER else "worker",
        "devices": list(seat.devices),
        "variable": VARIABLES.get(seat.kind, ""),
        "cores": seat.cores,
    }


def placement_lines(found: dict[str, Any]) -> list[str]:
    """Return the table, and what is wrong with it."""
    seats = sorted(found["seats"], key=lambda seat: (seat["host"], seat["rank"]))
    rows = [(s["host"], str(s["rank"]), s["role"], _devices(s), _cores(s)) for s in seats]
    dies = "costs its trial a retry (ULFM)" if found["survives"] else "ends the job (no ULFM)"
    return [
        *([f"job         {found['job']}"] if found["job"] else []),
        f"MPI         {found['library']}, {found['thread_level']}; a rank that dies {dies}",
        "",
        *table(("host", "rank", "role", "its trials see", "cores"), rows, [False, True, False, False, True]),
        "",
        *_verdict(found["flaws"]),
    ]


def _devices(seat: dict[str, Any]) -> str:
    if seat["role"] == "master":
        return "-"
    return f"{seat['variable']}={','.join(seat['devices'])}" if seat["devices"] else "no GPU"


def _cores(seat: dict[str, Any]) -> str:
    return "-" if seat["role"] == "master" else f"{seat['cores']:.3g}"


def _verdict(flaws: Sequence[str]) -> list[str]:
    return [f"Wrong: {flaw}" for flaw in flaws] or ["Nothing is wrong with this placement."]
