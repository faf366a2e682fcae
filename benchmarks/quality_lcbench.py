"""LCBench: a network fitted to 2,000 trainings on each data set (tables/lcbench); validation error in %."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from quality_problems import Evaluation, TimedProblem

from deephpo import Float, Integer, Space
from deephpo.trial import Config

_DIRECTORY = Path(__file__).parent / "tables" / "lcbench"
_EPOCHS = 52
_TIME, _ACCURACY = 0, 1


def lcbench(instance: str) -> TimedProblem:
    """Return the problem of one data set, by its OpenML task id: all epochs, and the time they take."""
    reference = json.loads((_DIRECTORY / "references.json").read_text())[instance]
    code = json.loads((_DIRECTORY / "encoding.json").read_text())["OpenML_task_id"][instance]
    space = Space(
        [
            Integer("batch_size", 16, 512, log=True),
            Float("learning_rate", 1e-4, 1e-1, log=True),
            Float("momentum", 0.1, 0.99),
            Float("weight_decay", 1e-5, 1e-1),
            Integer("num_layers", 1, 5),
            Integer("max_units", 64, 1024, log=True),
            Float("max_dropout", 0.0, 1.0),
        ]
    )
    category = np.array([[code]], dtype=np.int32)

    def evaluate(config: Config, rng: np.random.Generator | None) -> Evaluation:
        numbers = np.array([[_EPOCHS, *(config[p.name] for p in space.parameters)]], dtype=np.float32)
        [predicted] = _model().run(None, {"x_cat": category, "x_cont": numbers})[0]
        loss = 100.0 - float(predicted[_ACCURACY])
        return Evaluation(loss, loss, max(float(predicted[_TIME]), reference["t_floor"]))

    return TimedProblem(f"lc/{instance}", space, evaluate, reference["f_min"], reference["f_median"])


@cache
def _model() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(_DIRECTORY / "model.onnx", options)
