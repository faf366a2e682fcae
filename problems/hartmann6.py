"""Hartmann's function of six variables: a cheap test with six minima, whose best value is known.

L. Dixon, G. Szego, The global optimization problem: an introduction, 1978.
"""

import math

from deephpo import Float, Problem, Space

ALPHA = (1.0, 1.2, 3.0, 3.2)
A = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)
P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def run(config):
    """Return -sum_i alpha_i exp(-sum_j A_ij (x_j - P_ij)^2)."""
    x = [config[f"x{j}"] for j in range(1, 7)]
    return -sum(
        alpha * math.exp(-sum(a * (xj - p) ** 2 for a, xj, p in zip(row_a, x, row_p, strict=True)))
        for alpha, row_a, row_p in zip(ALPHA, A, P, strict=True)
    )


problem = Problem(
    Space([Float(f"x{j}", 0.0, 1.0) for j in range(1, 7)]),
    run,
    objective="value",
    direction="minimize",
    optimum=-3.32237,
)
