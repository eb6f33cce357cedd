"""Families that tools get wrong: what is claimed of an end is true, or the operator is refused."""

import jax
import jax.numpy as jnp
import pytest

from hessdiag import spectra
from tests.oracles.families import FAMILIES

SEEDS = range(3)
QUICK = ("one beside copies", "noise", "recurrent")


@pytest.fixture(autouse=True)
def strict_jax():
    """Losses of users broadcast as they like."""


def claims(family):
    """Every seed's case, and the ends from four starts; None where it is refused."""

    @jax.jit
    def decomposed(data, key):
        operator = family.build(data)
        starts = jax.random.normal(key, (4, operator.size), operator.dtype)
        return jax.lax.map(
            lambda start: spectra.lanczos(operator, start, max_matvecs=40, tolerance=1e-4), starts
        )

    for seed in SEEDS:
        case = family.make(seed)
        runs = decomposed(jax.tree.map(jnp.asarray, case.data), jax.random.key(seed))
        try:
            yield case, spectra.extremes(spectra.ritz_values_per_start(runs))
        except (spectra.NonSymmetricOperatorError, spectra.NoisyOperatorError):
            yield case, None


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FAMILIES]
)
def test_no_claim_of_an_end_or_of_its_side_is_wrong(name):
    family = FAMILIES[name]
    for case, ends in claims(family):
        if ends is None:
            assert family.is_refusable
            continue
        assert abs(ends.lowest - case.truth[0]) <= ends.lowest_error
        assert abs(ends.highest - case.truth[-1]) <= ends.highest_error
        if ends.converged:  # and not by errors that say nothing
            most = 2e-4 + 2 * ends.noise
            assert max(ends.lowest_error, ends.highest_error) <= most * case.norm
        edge = max(-case.truth[0], case.truth[-1] / 2)  # where 1 - alpha A may leave the circle
        for alpha in (0.5 / case.norm, 0.99 / edge, 1.01 / edge):
            radius = max(-alpha * case.truth[0], alpha * case.truth[-1] - 2)
            said = spectra.shifted(ends, alpha).exceeds_one
            assert said in ("undecided", "yes" if radius > 0 else "no")
