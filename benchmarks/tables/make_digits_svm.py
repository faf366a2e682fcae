"""Makes ``digits_svm.csv``: every configuration of a support vector machine on scikit-learn's digits.

    python benchmarks/tables/make_digits_svm.py [--csv benchmarks/tables/digits_svm.csv]

Five parameters, 5,760 configurations, all of them trained: about six minutes of one core.  A configuration's
error is the mean over two splits, each with 500 images to learn from and the other 1,297 to be judged by, so
a step of it is 1/2594; its seconds are those of training and prediction together.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC

GRID: dict[str, list[Any]] = {
    "kernel": ["rbf", "poly2", "poly3", "sigmoid"],
    "scaling": ["none", "standard", "norm"],
    "components": [4, 8, 16, 24, 32, 48],
    "C": [0.01, 0.04, 0.2, 1, 5, 20, 100, 500],
    "gamma": [0.01, 0.03, 0.08, 0.2, 0.4, 0.8, 1.6, 4, 12, 40],
}
"""gamma is in units of 1 / (components x variance of the data)."""

SPLITS = 2
TRAINED_ON = 500

Numbers = NDArray[np.float64]
Split = tuple[Numbers, NDArray[np.int64], Numbers, NDArray[np.int64]]
"""Images and digits to learn from, images and digits to be judged by."""


def prepare(scaling: str, components: int, split: Split) -> Split:
    """Return a split whose images are scaled and reduced to their first principal components."""
    seen, digits, unseen, answers = split
    if scaling != "none":
        scaler = StandardScaler() if scaling == "standard" else Normalizer()
        seen, unseen = scaler.fit_transform(seen), scaler.transform(unseen)
    reduction = PCA(components, random_state=0)
    return reduction.fit_transform(seen), digits, reduction.transform(unseen), answers


def evaluate(kernel: str, C: float, gamma: float, split: Split) -> float:
    """Return the share of the unseen images that the machine takes for another digit."""
    seen, digits, unseen, answers = split
    gamma /= seen.shape[1] * seen.var()
    if kernel.startswith("poly"):
        machine = SVC(kernel="poly", degree=int(kernel[-1]), coef0=1.0, C=C, gamma=gamma)
    else:
        machine = SVC(kernel=kernel, C=C, gamma=gamma)
    return float((machine.fit(seen, digits).predict(unseen) != answers).mean())


def main() -> None:
    """Train every configuration, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("digits_svm.csv"))
    options = parser.parse_args()
    images, digits = load_digits(return_X_y=True)
    splits: list[Split] = []
    for seed in range(SPLITS):
        parts = train_test_split(images, digits, train_size=TRAINED_ON, stratify=digits, random_state=seed)
        splits.append((parts[0], parts[2], parts[1], parts[3]))
    with options.csv.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*GRID, "error", "seconds"])
        for scaling, components in itertools.product(GRID["scaling"], GRID["components"]):
            ready = [prepare(scaling, components, split) for split in splits]
            for kernel, C, gamma in itertools.product(GRID["kernel"], GRID["C"], GRID["gamma"]):
                began = time.process_time()
                error = float(np.mean([evaluate(kernel, C, gamma, split) for split in ready]))
                seconds = time.process_time() - began
                row = [kernel, scaling, components, C, gamma, f"{error:.5f}", f"{seconds:.4f}"]
                table.writerow(row)


if __name__ == "__main__":
    main()
