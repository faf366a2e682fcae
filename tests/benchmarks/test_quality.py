"""The comparison with the peers: what it simulates, and what its columns say."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from deephpo import Float, Space

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from quality_jobs import check_free
from quality_optimizers import OwnSearch, parsed
from quality_problems import CHOICE, CORE, HELD_OUT, Evaluation, TimedProblem, named
from quality_run import Run, simulate
from quality_summary import cells_of, print_differences, print_summary

SPACE = Space([Float("x", 0.0, 1.0)])


def timed(config, rng):
    return Evaluation(config["x"], config["x"], 1.0 + config["x"])


PROBLEM = TimedProblem("line", SPACE, timed, optimum=0.0, typical=0.5)


class Counting:
    """Asks 0, 1, 2, ... and writes down what happens."""

    def __init__(self):
        self.events = []
        self.asked = 0

    def ask(self):
        self.asked += 1
        self.events.append(f"ask {self.asked - 1}")
        return self.asked - 1, {"x": [0.9, 0.1, 0.5, 0.2, 0.3][self.asked - 1]}

    def tell(self, point, loss):
        self.events.append(f"tell {point}")


def test_a_worker_that_is_free_asks_once_and_results_come_in_the_order_of_their_ends():
    optimizer = Counting()
    results = simulate(optimizer, PROBLEM, 2, None)
    times = [next(results).time_s for _ in range(3)]
    assert times == pytest.approx([1.1, 1.9, 1.1 + 1.5])
    assert optimizer.events == ["ask 0", "ask 1", "tell 1", "ask 2", "tell 0", "ask 3", "tell 2"]


def test_one_worker_is_a_sequential_search():
    results = simulate(OwnSearch("random", {}, SPACE, seed=0), PROBLEM, 1, None)
    drawn = [next(results) for _ in range(5)]
    assert drawn[-1].time_s == pytest.approx(sum(r.evaluation.duration_s for r in drawn))


def test_a_word_holds_a_name_and_options():
    assert parsed("auto") == ("auto", {})
    assert parsed("ambs:surrogate=extra-trees,kappa=1") == ("ambs", {"surrogate": "extra-trees", "kappa": 1})
    assert parsed("diversified:arms=gp-ei,rf-ei,initial=5")[1] == {"arms": "gp-ei,rf-ei", "initial": 5}
    with pytest.raises(ValueError, match="name=value"):
        parsed("ambs:kappa")


def test_the_core_problems_are_two_halves_of_their_own():
    assert sorted((*CHOICE, *HELD_OUT)) == sorted(CORE)
    assert named(["choice", "lc/7593", "lc/3945"]) == [*CHOICE, "lc/3945"]
    with pytest.raises(ValueError, match="hpobench/nothing"):
        named(["hpobench/nothing"])


def test_a_file_that_holds_runs_is_only_gone_on_with_never_replaced(tmp_path):
    path = tmp_path / "runs.jsonl"
    check_free(None, [])
    check_free(path, [])
    path.touch()
    check_free(path, [path])
    with pytest.raises(ValueError, match=f"{path} exists: add --reuse {path} to go on with it, or delete it"):
        check_free(path, [tmp_path / "others.jsonl"])


def made(optimizer, problem, seed, regret):
    return Run(
        optimizer, problem, seed, 2, len(regret), False, regret, cpu_s=1.0, repeats=0, version="none 1"
    )


def test_the_columns_are_those_of_the_definition(capsys):
    runs = [made("random", p, s, [1.0, 1.0, 0.1, 0.1]) for p in ("a", "b") for s in range(3)]
    runs += [made("ours", "a", s, [1.0, 0.1, 0.01, 0.0]) for s in range(2)]
    runs += [made("ours", "b", s, [1.0, 1.0, 1.0, 1.0]) for s in range(2)]
    print_summary(cells_of(runs), ["ours", "random"], ["a", "b"])
    table = {line.split(" | ")[0]: line.split(" | ") for line in capsys.readouterr().out.splitlines()}
    ours = table["| ours"]
    assert ours[1:5] == ["2", "1.0000", "0.5500", "0.5000"]
    # On a: (0 - 1 - 2 - 4) / 4; on b: 0.
    assert float(ours[5]) == pytest.approx(-1.75 / 2, abs=1e-3)
    assert float(ours[6]) == 1.5
    # Random's 0.1 is reached after 2 of 4 results on a, and never on b.
    assert float(ours[8]) == pytest.approx(math.sqrt(2.0), abs=0.01)
    assert float(ours[9]) == 0.5


def test_differences_are_paired_by_seed_and_problem(capsys):
    rng = np.random.default_rng(0)
    runs = []
    for p in ("a", "b", "c"):
        for seed in range(4):
            luck = float(rng.uniform(0.01, 1.0))
            runs.append(made("theirs", p, seed, [luck] * 4))
            if seed < 2:
                runs.append(made("ours", p, seed, [luck / 10.0] * 4))
    print_differences(cells_of(runs), ["ours", "theirs"], ["a", "b", "c"])
    assert "| ours - theirs | -1.000 | 0.000 | 3 of 3 |" in capsys.readouterr().out
