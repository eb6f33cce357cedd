"""Estimators of the n-step meta-gradient, from numbers that are written down."""

import numpy as np
import pytest

from hessdiag.statistics import Parts, candidates, mixing_weights
from hessdiag.statistics.candidates import CUTS, DECAYS, DRAWS, mixing_factors

N, K, M = 4, 3, 2
SIGMAS = (0.05, 0.1)


@pytest.fixture(scope="module")
def parts() -> Parts:
    rng = np.random.default_rng(0)
    number = {"mixes": len(mixing_factors(N)), "cuts": len(CUTS), "averaged": len(DRAWS)}
    shapes = {"terms": (N, M), "traced": (N, M), "smoothed": (len(SIGMAS), M)}
    shapes |= {name: (of, M) for name, of in number.items()}
    return Parts(*(rng.normal(size=(K, *shapes.get(name, (M,)))) for name in Parts._fields))


@pytest.fixture(scope="module")
def made(parts) -> dict[str, np.ndarray]:
    return {name: one.made(parts) for name, one in candidates(N, SIGMAS).items()}


def test_the_last_terms_are_added_from_the_end(parts, made):
    """The path through x^(0) is before all updates: it is in the n-step meta-gradient alone."""
    sums = parts.direct.copy()
    for k in range(1, N):
        sums += parts.terms[:, N - k]
        np.testing.assert_allclose(made[f"last {k}"], sums)
    np.testing.assert_allclose(made["n-step"], sums + parts.terms[:, 0] + parts.initial)


def test_a_trace_fades_by_mu_for_every_later_update(parts, made):
    for mu in DECAYS:
        expected = parts.direct + mu**N * parts.traced_initial
        for j in range(N):
            expected = expected + mu ** (N - 1 - j) * parts.traced[:, j]
        np.testing.assert_allclose(made[f"trace {mu:g}"], expected)


def test_the_others_are_measured_as_they_are(parts, made):
    assert made["no-memory"] is not made["no-hessian"]
    np.testing.assert_array_equal(made["no-memory"], parts.cuts[:, CUTS.index("no-memory")])
    np.testing.assert_array_equal(made["validations 8"], parts.averaged[:, -1])
    np.testing.assert_array_equal(made["es 0.05"], parts.smoothed[:, 0])
    place = mixing_factors(N).index(0.75)  # 1 − 1/n
    np.testing.assert_array_equal(made["mix 0.75"], parts.mixes[:, place])
    powers = 0.75 ** np.arange(N)
    np.testing.assert_allclose(mixing_weights(N)[place], powers / powers.sum())


@pytest.mark.parametrize(("n", "number"), [(0, 0), (1, 0), (2, 1), (5, 4)])
def test_short_horizons_have_fewer_truncations(n, number):
    names = list(candidates(n, SIGMAS))
    assert sum(name.startswith("last") for name in names) == number
    assert len(set(names)) == len(names)
    assert names[0] == "n-step"
