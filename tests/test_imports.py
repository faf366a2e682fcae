"""The shape of the package: what an import costs, and which way imports point."""

import ast
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import deephpo

PACKAGE = Path(deephpo.__file__).parent
ORDER = [
    "__main__",
    "cli",
    "report",
    "schedulers",
    "drivers",
    "keras",
    "worker",
    "engine",
    "stopping",
    "search",
    "surrogates",
    "acquisition",
    "hardware",
    "storage",
    "problem",
    "space",
    "trial",
    "errors",
    "seeds",
]
"""From top to bottom; a module imports from its own room and from the rooms below."""
HEAVY = ["numpy", "scipy", "sklearn", "h5py", "tensorflow", "keras", "matplotlib", "mpi4py", "yaml"]


def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def cpu_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    python(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_importing_deephpo_loads_the_standard_library_only():
    loaded = set(json.loads(python("import deephpo, json, sys; print(json.dumps(list(sys.modules)))")))
    assert "deephpo.space.space" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_importing_deephpo_is_cheap():
    costs = [cpu_seconds("import deephpo") - cpu_seconds("pass") for _ in range(5)]
    assert statistics.median(costs) < 0.15


def test_every_public_name_is_there():
    assert [name for name in deephpo.__all__ if not hasattr(deephpo, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'creat_search'"):
        _ = deephpo.creat_search


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def statements(node: ast.AST, inside_functions: bool) -> Iterator[ast.stmt]:
    """Yield the import statements; without those in functions, only what runs at import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif inside_functions or not _waits(child):
            yield from statements(child, inside_functions)


def _waits(node: ast.AST) -> bool:
    typing_only = isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )
    return typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def imported(path: Path, inside_functions: bool) -> set[str]:
    """Return the names of the modules that a file imports; ``deephpo.__version__`` counts as one."""
    names: set[str] = set()
    for statement in statements(ast.parse(path.read_text()), inside_functions):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
            continue
        assert statement.level == 0, f"{path}: relative import"
        for alias in statement.names:
            full = f"{statement.module}.{alias.name}"
            names.add(full if full in MODULES or full == "deephpo.__version__" else str(statement.module))
    return names


def room(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in MODULES if name != "deephpo"])
def test_imports_point_down(module):
    own = ORDER.index(room(module))
    for name in imported(MODULES[module], inside_functions=True):
        if name.split(".")[0] != "deephpo" or name == "deephpo.__version__":
            continue
        assert name != "deephpo", f"{module} imports from the bare package, not from where a name is defined"
        assert own <= ORDER.index(room(name)), f"{module} imports {name}, which is above it"


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {
        name: imported(path, inside_functions=False) & MODULES.keys() - {"deephpo"}
        for name, path in MODULES.items()
        if name != "deephpo"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"These import each other: {' -> '.join(error.args[1])}")


def test_the_coordinator_knows_no_mpi_no_clock_and_no_file():
    names = imported(MODULES["deephpo.engine.coordinator"], inside_functions=True)
    outside = {name.split(".")[0] for name in names}
    assert outside.isdisjoint({"mpi4py", "time", "os", "pathlib", "numpy"})
