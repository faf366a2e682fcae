"""The command itself: verbs, mistakes, and the doors through which everything leaves."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from deephpo.cli import main as cli
from deephpo.cli.main import VERBS, main

MISTAKES = {
    "": "VERB",
    "serch problem.py": "There is no verb 'serch'; did you mean 'search'? Known: search, resume, status",
    "problem.py": "There is no verb 'problem.py'. Known: search",
    "--trails 5": "A verb comes before '--trails', as in `deephpo search PROBLEM --trials`",
    "--qqq": "A verb comes before '--qqq', as in `deephpo search PROBLEM --trials 50`",
    "search problem.py --trails 5": "`deephpo search` takes no option '--trails'; did you mean '--trials'?",
    "search problem.py --trails=5": "did you mean '--trials'?",
    "search problem.py kapa=1": "`deephpo search` takes no argument 'kapa=1'; did you mean '--kappa'?",
    "search problem.py other.py": "takes no argument 'other.py'. See `deephpo search --help`",
    "status run --tip 3": "`deephpo status` takes no option '--tip'; did you mean '--top'?",
    "search": "PROBLEM",
    "search problem.py --foo": "--foo",
    "search problem.py --kappa much": "--kappa: kappa must be a number from 0 on, such as 1.96, not 'much'",
    "search problem.py --trials 2.5": "--trials: invalid int value: '2.5'",
    "search problem.py --driver mp": "invalid choice: 'mp'",
    "status": "RUN_DIR",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_in_the_command_line_is_answered_with_one_sentence_that_names_it(line, refusal):
    sentence = refusal(*line.split())
    assert MISTAKES[line] in sentence
    assert "--help`" in sentence


def test_it_is_a_module_too():
    ended = subprocess.run(
        [sys.executable, "-m", "deephpo", "status", "nowhere"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("deephpo: ")
    assert "nowhere" in ended.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_that_fits_a_terminal(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    description = import_module(f"deephpo.cli.{verb}").DESCRIPTION
    assert " ".join(description.split()) in " ".join(shown.split())
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.parametrize("verb", cli.VERBS)
def test_reading_the_command_line_loads_the_standard_library_only(verb):
    code = (
        f"import sys; from deephpo.cli.main import _parsers; _parsers({verb!r});"
        "print({'numpy', 'sklearn', 'h5py', 'mpi4py', 'yaml'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "set()"


def test_reading_the_command_line_loads_the_module_of_its_verb_only():
    code = (
        "import sys; from deephpo.cli.main import _parse; _parse(['search', 'problem.py']);"
        "print([verb for verb in ('resume', 'status', 'simulate') if f'deephpo.cli.{verb}' in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "[]"


def test_of_many_ranks_with_the_same_mistake_only_the_first_speaks(capsys, monkeypatch):
    monkeypatch.setattr(cli, "PRECEDENCE_S", 0.0)
    for rank, lines in ((0, 1), (1, 0), (3, 0)):
        monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
        monkeypatch.setenv("OMPI_COMM_WORLD_RANK", str(rank))
        assert main(["search", "problem.py", "--trials", "0"]) == 2
        assert capsys.readouterr().err.count("\n") == lines


def test_a_rank_other_than_the_first_gives_it_time_to_speak_before_it_ends_the_job(monkeypatch):
    waited = []
    monkeypatch.setattr(cli.time, "sleep", waited.append)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "2")
    assert main(["search", "problem.py", "--trials", "0"]) == 2
    assert sum(waited) > 1


def test_an_interrupt_outside_of_a_search_needs_no_traceback(capsys, monkeypatch):
    def interrupted(target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deephpo.worker.description.describe", interrupted)
    assert main(["check", "problem.py"]) == 130
    assert capsys.readouterr().err == "deephpo: interrupted.\n"


def test_a_reader_that_has_seen_enough_is_no_error(problem):
    program = Path(sys.executable).with_name("deephpo")
    line = f"'{program}' check '{problem}' | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
