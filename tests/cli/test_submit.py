"""``deephpo submit``: what it shows, writes and refuses; what becomes of jobs: tests/schedulers."""

import time
from pathlib import Path

import pytest

from deephpo.cli.main import main
from deephpo.cli.opening import resume
from deephpo.storage.run_directory import RunDirectory

QUICK = """
from deephpo import Float, Problem

problem = Problem([Float("x", 0.0, 1.0)], lambda config, ctx: config["x"], objective="loss")
"""
JOB = ["--scheduler", "slurm", "--nodes", "2", "--gpus-per-node", "4", "--walltime", "2:00:00"]


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Put an ``sbatch`` on the PATH that takes every job, or none; returns where its words go."""

    def put(exit_code=0):
        program = tmp_path / "bin" / "sbatch"
        program.parent.mkdir()
        program.write_text(f'#!/bin/bash\necho "$@" >{tmp_path}/given\necho "42;here"\nexit {exit_code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        return tmp_path / "given"

    return put


def launch_of(script: str) -> str:
    return next(line for line in script.splitlines() if line.startswith("launch="))


def test_it_says_what_is_asked_for_and_how_to_follow_it(problem, said, sbatch, tmp_path):
    given, run = sbatch(), tmp_path / "run"
    out = said("submit", problem, *JOB, "--chain", 2, "--run-dir", run)
    assert "quick on Slurm: 2 nodes with 4 GPUs each for at most 02:00:00" in out
    assert "9 ranks: 1 master and 8 workers, 4 on each node, a GPU for each" in out
    assert "4 node-hours at most for a job, 12 for the chain of 3 jobs" in out
    assert given.read_text().split() == ["--parsable", f"{run}/job.sh"]
    for line in ("squeue -j 42", f"tail -F {run}/job.out", f"deephpo status {run}", "scancel 42"):
        assert line in out
    assert RunDirectory(run).script.stat().st_mode & 0o111


def test_a_dry_run_shows_the_script_and_writes_nothing(problem, said, tmp_path):
    run = tmp_path / "run"
    out = said("submit", problem, *JOB, "--dry-run", "--run-dir", run)
    assert "#SBATCH --nodes=2\n" in out
    assert not run.exists()


def test_what_is_for_the_search_is_passed_on_as_it_was_written(problem, said):
    search = ["--trials", "20", "--stop", "diverged + plateau", "--search=random", "--seed", "3"]
    out = said("submit", problem, *search, *JOB, "--dry-run", "--env", "A=1", "B=2", "--modules", "gcc")
    assert (
        f"""search {problem} --trials 20 --stop 'diverged + plateau' --search=random --seed 3 --run-dir"""
        in out
    )
    assert "for module in gcc; do\n" in out
    assert "done\nexport A=1\nexport B=2\n" in out


def test_a_machine_brings_its_scheduler_its_launcher_and_its_gpus(problem, said):
    words = ["--machine", "polaris", "--account", "m1", "--nodes", "3", "--walltime", "1h", "--dry-run"]
    out = said("submit", problem, *words)
    assert "on PBS: 3 nodes with 4 GPUs each" in out
    assert "--ppn 4 --cpu-bind none" in launch_of(out)


def test_workers_may_have_several_gpus_or_none(problem, said):
    words = ["submit", problem, "--scheduler", "slurm", "--nodes", 1, "--walltime", "1h", "--dry-run"]
    many = said(*words, "--gpus-per-node", 5, "--workers-per-node", 2)
    assert "2 workers, 2 on each node, 2 GPUs for each (1 GPU of a node idle)" in many
    none = said(*words, "--gpus-per-node", 0, "--workers-per-node", 12)
    assert "1 node for at most 01:00:00" in none
    assert "1 node with 5 GPUs for at most" in many
    assert "12 workers, 12 on each node, without GPUs" in none


def test_a_run_goes_on_with_another_number_of_nodes(stopped, said, sbatch):
    sbatch()
    run, _ = stopped()
    before = RunDirectory(run).journal.read_bytes()
    out = said("submit", run, *JOB)
    assert "left on Slurm: 2 nodes" in out
    assert RunDirectory(run).journal.read_bytes() == before
    script = RunDirectory(run).script.read_text()
    assert '"${launch[@]}" resume "$run" &' in script
    assert '"${launch[@]}" search' not in script


@pytest.fixture
def stopped(problem_file, tmp_path):
    """Return a function: the directory of a run of which ten trials are left, and its problem's file."""

    def begun(source=QUICK):
        problem = problem_file(source, "left.py")
        words = ["--search", "random", "--trials", "10", "--workers", "2", "--run-dir", str(tmp_path / "run")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEEPHPO_END_TIME", str(time.time() - 1))  # a batch job whose time is up
            assert main(["search", problem, *words]) == 75
        return tmp_path / "run", Path(problem)

    return begun


def test_a_run_that_is_done_is_not_submitted(problem, said, refusal, sbatch, tmp_path):
    given, run = sbatch(), tmp_path / "run"
    said("search", problem, "--trials", 3, "--search", "random", "--workers", 1, "--run-dir", run)
    sentence = refusal("submit", run, *JOB)
    assert f"{run} would end at once, with 8 workers: all 3 trials are done" in sentence
    assert "More of it: --trials" in sentence
    assert not given.exists()


def test_a_run_that_is_alive_is_not_submitted(stopped, refusal, sbatch):
    given, (run, _) = sbatch(), stopped()
    alive = resume(RunDirectory(run), lambda options: options, accept=False)
    assert "Another search is writing to" in refusal("submit", run, *JOB)
    alive.give_up()
    assert not given.exists()


def test_a_run_whose_problem_is_gone_or_another_is_not_submitted(stopped, refusal, sbatch):
    given, (run, problem) = sbatch(), stopped()
    source = problem.read_text()
    problem.write_text(source.replace('"loss"', '"cost"'))
    assert "The problem is not the one of this run any more" in refusal("submit", run, *JOB)
    problem.write_text("import nowhere\n")
    assert "nowhere" in refusal("submit", run, *JOB)
    problem.unlink()
    assert str(problem) in refusal("submit", run, *JOB)
    assert not given.exists()


def test_a_run_whose_trials_need_more_workers_is_not_submitted(stopped, refusal, said, sbatch):
    given, (run, _) = sbatch(), stopped(QUICK.replace('"loss")', '"loss", ranks=2)'))
    words = ("--scheduler", "slurm", "--gpus-per-node", 1, "--walltime", "1h")
    assert "For a trial on 2 ranks there must be 2 workers" in refusal("submit", run, *words, "--nodes", 1)
    assert not given.exists()
    assert "2 workers, 1 on each node" in said("submit", run, *words, "--nodes", 2)


REFUSED = {
    "unknown machine": (["--machine", "polarys"], "There is no machine 'polarys'; did you mean 'polaris'?"),
    "unknown launcher": (["--launcher", "srum"], "Known: mpirun, "),
    "unknown search": (["--search", "foo"], "There is no search 'foo'"),
    "unknown rule": (["--stop", "foo"], "There is no "),
    "more workers than GPUs": (["--workers-per-node", "5"], "must be at most 4, the GPUs of a node"),
    "time": (["--time-limit", "3h"], "--time-limit (10800 s) must not be longer than --walltime (7200 s)"),
    "gangs": (
        ["--ranks-per-trial", "9"],
        "there must be 9 workers at least, but this job has 8: more --nodes, more --workers-per-node",
    ),
    "scheduler": (["--machine", "polaris"], "has no slurm: leave --scheduler out"),
    "variable": (["--env", "A"], "--env must be NAME=VALUE, not 'A'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_requests_are_refused_before_anything_is_written(case, problem, refusal, sbatch, tmp_path):
    given, (words, sentence) = sbatch(), REFUSED[case]
    assert sentence in refusal("submit", problem, *JOB, *words, "--run-dir", tmp_path / "run")
    assert not given.exists()
    assert not (tmp_path / "run").exists()


def test_a_problem_that_check_refuses_is_not_submitted(problem_file, refusal, sbatch, tmp_path):
    given = sbatch()
    broken = problem_file("from deephpo import Problem\nproblem = 3\n", "broken.py")
    refusal("submit", broken, *JOB, "--run-dir", tmp_path / "run")
    assert not given.exists()


def test_a_run_goes_on_with_what_resume_is_told(problem, said, tmp_path):
    run = tmp_path / "run"
    said("search", problem, "--trials", 3, "--search", "random", "--workers", 1, "--run-dir", run)
    out = said("submit", run, *JOB, "--trials", 20, "--plateau", "9", "--dry-run")
    assert 'resume "$run" --trials 20 --plateau 9 &' in out


def test_a_search_that_begins_has_no_changes_to_accept(problem, refusal):
    assert "leave it out" in refusal("submit", problem, *JOB, "--accept-changes")


def test_a_run_takes_no_options_of_a_search(problem, refusal, said, tmp_path):
    run = tmp_path / "run"
    said("search", problem, "--trials", 3, "--search", "random", "--workers", 1, "--run-dir", run)
    assert "goes on as it began: leave out --kappa 2." in refusal("submit", run, *JOB, "--kappa", "2")
    sentence = refusal("submit", problem, *JOB, "--run-dir", run)
    assert f"already holds a run: `deephpo submit {run}` resumes it" in sentence


def test_what_the_batch_system_says_when_it_refuses_is_said(problem, sbatch, tmp_path, capfd):
    sbatch(exit_code=1)
    assert main(["submit", problem, *JOB, "--run-dir", str(tmp_path / "run")]) == 2
    assert (
        f"The job was refused: `sbatch --parsable {tmp_path}/run/job.sh` says: 42;here"
        in capfd.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def test_a_directory_that_was_there_stays_when_a_job_is_refused(problem, sbatch, tmp_path):
    sbatch(exit_code=1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    assert main(["submit", problem, *JOB, "--run-dir", str(tmp_path / "run")]) == 2
    assert (tmp_path / "run" / "notes.txt").exists()


def test_without_the_commands_of_the_batch_system_nothing_is_written(problem, refusal, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")
    words = ["--machine", "perlmutter", "--account", "m1", "--nodes", "1", "--walltime", "1h"]
    sentence = refusal("submit", problem, *words, "--run-dir", tmp_path / "run")
    assert "There is no sbatch here: submit on a login node" in sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("named", ["by its run directory", "by its problem"])
def test_a_run_whose_job_has_not_ended_is_not_submitted_again(
    named, problem, said, refusal, sbatch, tmp_path
):
    given, run = sbatch(), tmp_path / "run"
    said("submit", problem, *JOB, "--run-dir", run)
    given.unlink()
    squeue = tmp_path / "bin" / "squeue"
    squeue.write_text('#!/bin/bash\n[[ "$*" == *"--jobs 42 "* ]] && echo PENDING\n')
    squeue.chmod(0o755)
    words = [run] if named == "by its run directory" else [problem, "--run-dir", run]
    sentence = refusal("submit", *words, *JOB)
    assert f"Job 42 of the run in {run} has not ended (PENDING)" in sentence
    assert "`scancel 42`" in sentence
    assert not given.exists()
    squeue.write_text("#!/bin/bash\nexit 1\n")  # as Slurm does for a job that it has forgotten
    said("submit", problem, *JOB, "--run-dir", run)
    assert given.exists()


ENDS = {
    "nothing": ([], "ends after 100 trials (so many by default: --trials), or when the job's time is up"),
    "trials": (["--trials", "7", "--chain", "1"], "ends after 7 trials, or when the last job's time is up"),
    "time": (["--time-limit", "1h"], "ends after 1:00:00 (--time-limit), or when the job's time is up"),
    "plateau": (
        ["--trials", "50", "--plateau", "9", "--goal", "0.0"],
        "ends after 50 trials, with an objective as good as 0.0 (--goal), "
        "after 9 trials in a row without a new best (--plateau), or when",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_it_says_what_the_search_ends_with(case, problem, said):
    words, line = ENDS[case]
    assert line in said("submit", problem, *JOB, *words, "--dry-run")


def test_a_problem_with_a_space_in_its_name_has_a_run_directory_without(problem_file, said):
    out = said("submit", problem_file(QUICK, "my problem.py"), *JOB, "--dry-run")
    assert "/runs/my-problem-" in out


def test_its_tables_are_tables_on_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["submit", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert "  generic     any cluster" in lines
    assert "  pals         mpiexec of Cray PALS" in lines


def test_gpus_must_be_told_where_no_machine_tells_them(problem, refusal):
    words = ["--scheduler", "slurm", "--nodes", "2", "--walltime", "1h"]
    assert "Say --gpus-per-node 4, or 0 if it has none" in refusal("submit", problem, *words)
