import math

import numpy as np
import pytest

from deephpo.space.conditions import Between
from deephpo.space.encoding import INACTIVE
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space
from deephpo.surrogates.bandwidths import Scott
from deephpo.surrogates.parzen import ParzenEstimator, ParzenSurrogate, rank_weights
from deephpo.surrogates.parzen_kernels import NormalKernels

MULTIVARIATE = pytest.mark.parametrize("multivariate", [True, False], ids=["multivariate", "univariate"])

# What Optuna 5.0.0 says of four observations of the weights 4, 3, 2 and 1 and a prior of the weight 1:
#   estimator = _ParzenEstimator(OBSERVED, space, _ParzenEstimatorParameters(
#       prior_weight=1.0, consider_magic_clip=True, consider_endpoints=True, weights=default_weights,
#       multivariate=True), np.array([4.0, 3.0, 2.0, 1.0]))
#   estimator.log_pdf(ASKED)
OBSERVED = {
    "x": [0.1, 0.15, 0.6, 0.97],
    "lr": [1e-4, 1e-3, 2e-3, 0.05],
    "n": [2, 2, 7, 8],
    "u": [8, 64, 100, 512],
    "c": ["a", "a", "c", "b"],
}
ASKED = {"x": [0.12, 0.5, 0.999], "lr": [1e-5, 1.5e-3, 0.09], "n": [2, 5, 1], "u": [64, 300, 9], "c": "abc"}
OPTUNA = {
    "x": [0.5987789981007694, -0.2744052538241113, -0.7188540685702834],
    "lr": [-2.6766899886612294, -2.009389507881229, -2.9988457994726994],
    "n": [-1.6998982177938722, -2.3817078743752793, -1.8560853196339924],
    "u": [-5.5095183041351365, -7.327130899368232, -3.6566532625108694],
    "c": [-0.6131044728864089, -1.6056571895941945, -1.3564413979702095],
}
OPTUNA_TOGETHER = [-8.907793553753306, -13.178146427018554, -11.0380155598559]
PARAMETERS = [
    Float("x", 0, 1),
    Float("lr", 1e-5, 1e-1, log=True),
    Integer("n", 1, 8),
    Integer("u", 8, 512, log=True),
    Categorical("c", ["a", "b", "c"]),
]
LOG_RANGE = math.log(math.log(1e4))
"""Logarithm of the range of log(lr), in which Optuna has a density; ours is one of the code."""


def rows_of(encoding, values):
    names = [parameter.name for parameter in encoding.space.parameters]
    columns = [values[name] for name in names]
    return encoding.encode([dict(zip(names, line, strict=True)) for line in zip(*columns, strict=True)])


class Neighbours:
    """Optuna's widths: the distance to the farther neighbour, the bounds included; one share of the prior."""

    def of_numbers(self, codes, d):
        order = np.argsort(codes, kind="stable")
        gaps = np.diff(codes[order].astype(np.float64), prepend=0.0, append=1.0)
        widths = np.empty(len(codes))
        widths[order] = np.maximum(gaps[:-1], gaps[1:])
        return np.clip(widths, 1.0 / min(100.0, len(codes) + 2.0), 1.0)

    def of_categories(self, k, levels, d):
        share = 1.0 / (k + 1)
        return (levels - 1) * share / (1.0 + levels * share)


def as_in_optuna(parameters, multivariate=True):
    encoding = Space(parameters).encoding()
    estimator = ParzenEstimator(
        encoding,
        rows_of(encoding, OBSERVED),
        np.array([4.0, 3.0, 2.0, 1.0]),
        multivariate=multivariate,
        bandwidths=Neighbours(),
    )
    return estimator.log_density(rows_of(encoding, ASKED))


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_each_parameter_has_the_density_that_optuna_gives_it(parameter):
    shift = LOG_RANGE if parameter.name == "lr" else 0.0
    assert as_in_optuna([parameter]) - shift == pytest.approx(OPTUNA[parameter.name], abs=2e-5)


def test_all_parameters_together_have_the_density_that_optuna_gives_them():
    assert as_in_optuna(PARAMETERS) - LOG_RANGE == pytest.approx(OPTUNA_TOGETHER, abs=5e-5)


def test_the_univariate_density_is_the_product_of_those_of_the_parameters():
    expected = np.sum(list(OPTUNA.values()), axis=0)
    assert as_in_optuna(PARAMETERS, multivariate=False) - LOG_RANGE == pytest.approx(expected, abs=5e-5)


def test_truncated_normals_have_the_density_that_hyperopt_gives_them():
    # hyperopt 0.3.0: weights, centres, widths = adaptive_parzen_normal([0.1, 0.15, 0.6, 0.97], 1.0, 0.5, 1.0)
    # GMM1_lpdf(np.array([0.12, 0.5, 0.999]), weights, centres, widths, low=0.0, high=1.0)
    centres = np.array([0.1, 0.15, 0.5, 0.6, 0.97])
    widths = np.array([1 / 6, 0.35, 1.0, 0.37, 0.37])
    expected = [0.35504341832280234, -0.12232451070224015, -0.39503438540896973]
    kernels = NormalKernels(Space([Float("x", 0, 1)]).encoding().columns[0], centres, widths)
    densities = np.exp(kernels.log_mass(np.array([0.12, 0.5, 0.999], dtype=np.float32)))
    # Hyperopt truncates the mixture, not each kernel: one counts by what of it lies within the bounds.
    phi = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))
    inside = phi((1 - centres) / widths) - phi(-centres / widths)
    assert np.log(densities @ inside / inside.sum()) == pytest.approx(expected, abs=1e-6)


SPACE = Space(
    [
        Float("momentum", 0, 0.99, when={"optimizer": "sgd"}),
        Categorical("optimizer", ["adam", "sgd", "none"]),
        Integer("layers", 1, 4, when={"optimizer": ["adam", "sgd"]}),
        Integer("units", 1, 9, log=True, when={"layers": Between(low=3)}),
        Ordinal("batch", [16, 32, 64]),
    ]
)
ENCODING = SPACE.encoding()
CONFIGS = [
    {"momentum": 0.9, "optimizer": "sgd", "layers": 1, "batch": 16},
    {"momentum": 0.1, "optimizer": "sgd", "layers": 4, "units": 9, "batch": 32},
    {"optimizer": "adam", "layers": 3, "units": 2, "batch": 32},
    {"optimizer": "adam", "layers": 1, "batch": 64},
    {"optimizer": "none", "batch": 64},
]


def estimator_of(configs=CONFIGS, *, encoding=ENCODING, **options):
    weights = np.arange(1.0, len(configs) + 1.0)
    return ParzenEstimator(encoding, encoding.encode(configs), weights, bandwidths=Scott(), **options)


@MULTIVARIATE
def test_the_density_of_all_activity_patterns_together_integrates_to_one(multivariate):
    estimator = estimator_of(multivariate=multivariate)
    # The middles of 200 equal shares of the one real number.
    middles = [(i + 0.5) / 200 * 0.99 for i in range(200)]
    total = 0.0
    for momentum in middles:
        rows = np.concatenate(list(ENCODING.grid(levels=20)))
        with_momentum = rows[:, 0] != INACTIVE
        once = np.unique(rows[with_momentum, 1:], axis=0)
        rows = np.column_stack([np.full(len(once), momentum / 0.99, dtype=np.float32), once])
        total += np.exp(estimator.log_density(rows)).sum() / len(middles)
    without = np.concatenate(list(ENCODING.grid(levels=20)))
    without = without[without[:, 0] == INACTIVE]
    total += np.exp(estimator.log_density(without)).sum()
    assert total == pytest.approx(1.0, abs=1e-4)


@MULTIVARIATE
def test_samples_are_as_frequent_as_the_density_says(multivariate):
    estimator = estimator_of(multivariate=multivariate)
    samples = estimator.draw(40_000, np.random.default_rng(0))
    of_one_kind, counts = np.unique(samples[samples[:, 0] == INACTIVE], axis=0, return_counts=True)
    expected = np.exp(estimator.log_density(of_one_kind)) * 40_000
    surprise = (counts - expected) / np.sqrt(expected)
    assert np.abs(surprise).max() < 4.5
    assert np.mean(surprise**2) == pytest.approx(1.0, abs=0.4)


@MULTIVARIATE
def test_samples_are_configurations_of_the_space(multivariate):
    configs = ENCODING.decode(estimator_of(multivariate=multivariate).draw(500, np.random.default_rng(1)))
    assert all(SPACE.complete(config) == config for config in configs)
    assert {config["optimizer"] for config in configs} == {"adam", "sgd", "none"}


def test_forbidden_combinations_are_never_drawn():
    space = Space(SPACE.parameters, forbidden=[{"optimizer": "sgd", "batch": [32, 64]}, {"layers": 1}])
    configs = [{"optimizer": "adam", "layers": 2, "batch": 32}]
    drawn = estimator_of(configs, encoding=space.encoding()).draw(500, np.random.default_rng(2))
    assert space.encoding().allowed(drawn).all()
    assert len(drawn) == 500


def test_a_kernel_says_nothing_of_a_parameter_that_its_observation_lacks():
    """What is switched on is as likely under it as under the prior."""
    observed = estimator_of([{"optimizer": "none", "batch": 16}], prior_weight=1e-9)
    prior = estimator_of([])
    rows = ENCODING.encode(
        [
            {"momentum": 0.0, "optimizer": "sgd", "layers": 1, "batch": 16},
            {"momentum": 0.5, "optimizer": "sgd", "layers": 2, "batch": 16},
            {"momentum": 0.9, "optimizer": "sgd", "layers": 4, "units": 9, "batch": 16},
        ]
    )
    difference = observed.log_density(rows) - prior.log_density(rows)
    assert difference == pytest.approx(np.full(3, difference[0]))


def test_the_multivariate_density_knows_what_goes_together_and_the_univariate_does_not():
    encoding = Space([Float("x", 0, 1), Float("y", 0, 1)]).encoding()
    diagonal = [{"x": t, "y": t} for t in (0.1, 0.12, 0.88, 0.9)]
    rows = encoding.encode([{"x": 0.1, "y": 0.1}, {"x": 0.1, "y": 0.9}])
    on, off = estimator_of(diagonal, encoding=encoding, multivariate=True).log_density(rows)
    assert on > off + 1.5
    on, off = estimator_of(diagonal, encoding=encoding, multivariate=False).log_density(rows)
    assert on < off + 0.5


def test_far_from_all_observations_the_prior_is_left():
    encoding = Space([Integer(f"x{j}", 0, 999) for j in range(30)]).encoding()
    low = [{f"x{j}": 0 for j in range(30)}] * 50
    high = encoding.encode([{f"x{j}": 999 for j in range(30)}])
    estimator = estimator_of(low, encoding=encoding)
    prior = estimator_of([], encoding=encoding).log_density(high)
    shares = 50 * 51 / 2 + 1.0
    assert estimator.log_density(high) == pytest.approx(prior - math.log(shares), rel=1e-3)


def test_a_whole_number_with_very_many_levels_has_finite_densities():
    encoding = Space([Integer("n", 0, 10**6), Integer("m", 1, 10**6, log=True)]).encoding()
    configs = [{"n": 5, "m": 7}, {"n": 6, "m": 10**6}]
    estimator = estimator_of(configs, encoding=encoding)
    drawn = estimator.draw(50, np.random.default_rng(3))
    assert np.isfinite(estimator.log_density(drawn)).all()


def surrogate_of(good, bad, **options):
    encoding = Space([Float("x", 0, 1), Float("y", 0, 1)]).encoding()
    surrogate = ParzenSurrogate(encoding, **options)
    good, bad = (np.array(part, dtype=np.float32).reshape(-1, 2) for part in (good, bad))
    surrogate.fit(good, bad, np.ones(len(bad)))
    return surrogate


@MULTIVARIATE
def test_the_score_is_low_at_the_good_and_high_at_the_bad(multivariate):
    surrogate = surrogate_of([[0.2, 0.2], [0.25, 0.2]], [[0.8, 0.8], [0.7, 0.9]], multivariate=multivariate)
    good, between, bad = surrogate.score(np.array([[0.2, 0.2], [0.5, 0.5], [0.8, 0.8]], dtype=np.float32))
    assert good < 0.0 < bad
    assert good < between < bad


def test_before_anything_is_known_all_scores_are_zero_and_samples_are_spread_out():
    surrogate = ParzenSurrogate(Space([Float("x", 0, 1), Float("y", 0, 1)]).encoding())
    drawn = surrogate.draw(200, np.random.default_rng(0))
    assert surrogate.score(drawn) == pytest.approx(np.zeros(200))
    assert drawn.std(axis=0) == pytest.approx([0.29, 0.29], abs=0.04)


def test_samples_lie_near_the_good_ones_the_best_most_of_all():
    drawn = surrogate_of([[0.1, 0.1], [0.9, 0.9]], [[0.5, 0.5]] * 9).draw(2000, np.random.default_rng(0))
    near_best, near_second = ((np.abs(drawn - centre) < 0.25).all(axis=1).mean() for centre in (0.1, 0.9))
    assert near_best > 1.3 * near_second > 0.2


def test_rank_weights_fall_and_are_one_in_the_mean():
    weights = rank_weights(10)
    assert weights.mean() == pytest.approx(1.0)
    assert (np.diff(weights) < 0.0).all()
    assert (weights > 0.0).all()
    assert len(rank_weights(0)) == 0


def test_kernels_are_the_narrower_the_more_there_are():
    widths = [Scott().of_numbers(np.linspace(0, 0.99, k, dtype=np.float32), 3).mean() for k in (2, 8, 50)]
    assert widths == sorted(widths, reverse=True)
    leave = [Scott().of_categories(k, 4, 3) for k in (1, 8, 50)]
    assert leave == sorted(leave, reverse=True)
    assert 0.0 < leave[-1] < leave[0] <= 3 / 4
