"""Children that live no longer than their test; what tests do with them is in child_under_test.py."""

import pytest

from deephpo.worker.process import TrialProcess
from tests.worker.child_under_test import SOURCE


@pytest.fixture
def start(problem_file, tmp_path):
    """Return a function that starts the keeper of a child for some source text."""
    started = []

    def start(source=SOURCE, **options):
        started.append(TrialProcess(problem_file(source), tmp_path / "output.txt", **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
