"""The nested CIFAR-100 space of Vooban's Hyperopt search, as a model of its 42 published trainings.

    python benchmarks/quality_cifar100.py

says how much the model is worth, by leaving out a fifth of the trainings at a time.  42 trainings in 19
parameters cannot carry much: results on it test how a search treats conditional parameters; they say little
about CIFAR-100.

The model: extremely randomised trees of the error of the 100 fine classes (in %) and of the log of the
seconds.  The trainings: tables/cifar100_trials.csv, MIT, see the licence beside it.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quality_problems import Evaluation, TimedProblem
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import RepeatedKFold

from deephpo import Categorical, Float, Integer, Space
from deephpo.trial import Config

_TABLE = Path(__file__).parent / "tables" / "cifar100_trials.csv"
_NESTED = {"first_conv": "first_conv_size", "residual": "residual_units", "one_more_fc": "one_more_fc_mult"}
"""What a layer that may be left out has when it is there."""
_SAMPLED = 20_000
_GENERATIONS, _PARENTS, _CHILDREN = 40, 25, 1000


def space() -> Space:
    """Return the space with its three nested choices; the batch size is counted in steps of five."""
    return Space(
        [
            Categorical("optimizer", ["Adam", "Nadam", "RMSprop"]),
            _multiplier("lr_rate_mult", 0.5),
            _multiplier("l2_weight_reg_mult", 1.3),
            Integer("batch_size_by_5", 20, 90),
            Float("coarse_labels_weight", 0.1, 0.7),
            Float("conv_dropout_drop_proba", 0.0, 0.35),
            Float("fc_dropout_drop_proba", 0.0, 0.6),
            Categorical("use_BN", ["false", "true"]),
            Categorical("first_conv", ["none", "used"]),
            Integer("first_conv_size", 3, 4, when={"first_conv": ["used"]}),
            Categorical("residual", ["none", "used"]),
            Integer("residual_units", 1, 4, when={"residual": ["used"]}),
            _multiplier("conv_hiddn_units_mult", 0.6),
            Integer("nb_conv_pool_layers", 2, 3),
            Integer("conv_pool_res_start_idx", 0, 2),
            Categorical("pooling_type", ["max", "avg", "all_conv", "inception"]),
            Integer("conv_kernel_size", 2, 4),
            Integer("res_conv_kernel_size", 2, 4),
            _multiplier("fc_units_1_mult", 0.6),
            Categorical("one_more_fc", ["none", "used"]),
            _multiplier("one_more_fc_mult", 0.6, when={"one_more_fc": ["used"]}),
            Categorical("activation", ["relu", "elu"]),
        ]
    )


def cifar100() -> TimedProblem:
    """Return the model as a problem; its best value is the best that sampling and evolution find."""
    declared, model = space(), _model()

    def evaluate(config: Config, rng: np.random.Generator | None) -> Evaluation:
        [(error, log_s)] = model.predict([_features(declared, config)])
        return Evaluation(float(error), float(error), math.exp(log_s))

    optimum, typical = _references(declared, model)
    return TimedProblem("vooban/cifar100", declared, evaluate, optimum, typical)


def worth() -> str:
    """Return in words how well the model predicts trainings that it was not fitted to."""
    X, Y = _trainings()
    scores = []
    for fitted, left_out in RepeatedKFold(n_splits=5, n_repeats=5, random_state=0).split(X):
        predicted = _forest().fit(X[fitted], Y[fitted]).predict(X[left_out])
        scores.append((left_out, predicted))
    said = []
    for column, what in enumerate(("error", "log of the seconds")):
        # Five complete predictions of the table, each from five fits.
        complete = np.zeros((5, len(Y)))
        for k, (left_out, predicted) in enumerate(scores):
            complete[k // 5, left_out] = predicted[:, column]
        r2 = np.mean([r2_score(Y[:, column], repeat) for repeat in complete])
        rho = np.mean([spearmanr(Y[:, column], repeat).statistic for repeat in complete])
        said.append(f"{what}: R2 {r2:.2f}, rank correlation {rho:.2f}")
    return (
        f"the model of vooban/cifar100 on {len(Y)} trainings left out, a fifth at a time: {'; '.join(said)}"
    )


def _multiplier(name: str, width: float, **nested: Any) -> Float:
    return Float(name, round(math.exp(-width), 6), round(math.exp(width), 6), log=True, **nested)


def _forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(n_estimators=100, min_samples_leaf=2, random_state=0)


@cache
def _model() -> ExtraTreesRegressor:
    return _forest().fit(*_trainings())


def _trainings() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features, shape (n, columns), and the errors in % with the logs of the seconds, (n, 2)."""
    declared = space()
    with _TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    X = np.array([_features(declared, _config(declared, row)) for row in rows])
    Y = np.array(
        [(100.0 - 100.0 * float(row["fine_best_accuracy"]), math.log(float(row["seconds"]))) for row in rows]
    )
    return X, Y


def _config(declared: Space, row: dict[str, str]) -> Config:
    """Return a line of the table as a configuration of the space."""
    texts = dict(row, batch_size_by_5=str(int(row["batch_size"]) // 5))
    for switch, inner in _NESTED.items():
        if row[switch]:
            texts |= {switch: "used", inner: row[switch]}
        else:
            texts[switch] = "none"
    return {
        p.name: texts[p.name] if isinstance(p, Categorical) else float(texts[p.name])
        for p in declared.parameters
        if p.name in texts
    }


def _features(declared: Space, config: Config) -> list[float]:
    """Return numbers as they are, or their logs; categories one-hot; what is inactive below all else."""
    features: list[float] = []
    for p in declared.parameters:
        if isinstance(p, Categorical):
            features += [float(config[p.name] == choice) for choice in p.choices]
        elif p.name not in config:
            features.append(-10.0)
        else:
            number = float(str(config[p.name]))
            features.append(math.log(number) if isinstance(p, Float) and p.log else number)
    return features


def _references(declared: Space, model: ExtraTreesRegressor) -> tuple[float, float]:
    """Return the best error that a search on the model itself finds, and the median of random ones."""
    encoding, rng = declared.encoding(), np.random.default_rng(0)

    def errors(rows: Any) -> NDArray[np.float64]:
        predicted = model.predict([_features(declared, config) for config in encoding.decode(rows)])
        return np.asarray(predicted[:, 0])

    rows = encoding.sample(_SAMPLED, rng)
    values = errors(rows)
    typical = float(np.median(values))
    for _ in range(_GENERATIONS):
        best = np.argsort(values, kind="stable")[:_PARENTS]
        children = encoding.mutate(np.repeat(rows[best], _CHILDREN // _PARENTS, axis=0), rng)
        rows, values = np.vstack([rows[best], children]), np.append(values[best], errors(children))
    return float(values.min()), typical


if __name__ == "__main__":
    print(worth())
