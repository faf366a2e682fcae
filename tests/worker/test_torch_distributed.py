"""PyTorch's DistributedDataParallel between the children of a local search."""

import importlib.util
import json

import pytest

from deephpo.cli.main import main
from deephpo.storage.journal import read_journal
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState

DDP = """
import json, os
import torch
from deephpo import Float, Problem
from torch.nn.parallel import DistributedDataParallel

def run(config, ctx):
    with ctx.torch() as dist:
        assert (dist.get_rank(), dist.get_world_size()) == (ctx.rank, ctx.size)
        torch.manual_seed(ctx.rank)
        network = DistributedDataParallel(torch.nn.Linear(4, 1))
        optimizer = torch.optim.SGD(network.parameters(), lr=config["rate"])
        for step in range(5):
            x = torch.full((8, 4), float(1 + ctx.rank))
            loss = (network(x) - 1.0).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        weights = torch.cat([w.flatten() for w in network.parameters()]).tolist()
        loss = loss.detach()
        dist.all_reduce(loss)
    with open(ctx.directory / f"{ctx.rank}.json", "w") as file:
        json.dump({"weights": weights, "pid": os.getpid()}, file)
    return loss / ctx.size

problem = Problem([Float("rate", 0.001, 0.02)], run)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch, 5 GB with its CUDA, is not installed: make test-torch installs it",
)
def test_two_children_train_one_network_again_and_again(problem_file, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    words = ["search", problem_file(DDP), "--search", "random", "--trials", "4", "--seed", "1"]
    assert main([*words, "--workers", "2", "--ranks-per-trial", "2", "--run-dir", str(directory.path)]) == 0
    assert RunState(read_journal(directory.journal)).counts == {TrialState.COMPLETED: 4}
    told = [
        [json.loads((directory.trials / f"{k:06d}" / f"{rank}.json").read_text()) for rank in range(2)]
        for k in range(4)
    ]
    assert all(first["weights"] == second["weights"] for first, second in told)
    assert (
        len({entry["pid"] for pair in told for entry in pair}) == 2
    )  # warm children, a group for each trial


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_without_pytorch_the_trial_says_so(problem_file, tmp_path, capsys):
    target = problem_file(DDP.replace("import torch\n", "").replace("from torch.nn", "# from torch.nn"))
    words = ["search", target, "--trials", "1", "--workers", "1", "--run-dir", str(tmp_path / "run")]
    assert main(words) == 3
    assert "ctx.torch() needs PyTorch" in capsys.readouterr().out
