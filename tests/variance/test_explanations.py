import numpy as np

from hessdiag.variance import Evidence, predictions

E1 = "E1 spectral radius"


def evidence(radius_minus_one, error=0.0, memory: float | None = 0.9):
    radius = np.atleast_2d(np.asarray(radius_minus_one, float))
    return Evidence(radius, np.full_like(radius, error), "adam", memory)


def test_e1_is_the_sum_of_products_of_radii():
    """Bonnet et al. 2021, appendix D.2: horizon i multiplies the radii of steps i−1 … 1."""
    rho = np.array([1.7, 1.1, 0.9, 1.3])
    made = predictions(evidence(rho - 1))[E1].value
    expected = []
    for i in range(1, 5):
        terms = [np.prod([rho[i - j] for j in range(1, k)]) for k in range(1, i + 1)]
        expected.append(sum(terms))
    np.testing.assert_allclose(made, expected)
    assert made[0] == 1.0


def test_e1_with_unit_radii_counts_the_terms():
    np.testing.assert_allclose(predictions(evidence(np.zeros(5)))[E1].value, np.arange(1, 6))


def test_e1_keeps_the_digits_of_a_small_excess():
    made = predictions(evidence(np.full(3, 1e-12)))[E1].value
    np.testing.assert_allclose(made[2] - 3, 3e-12, rtol=1e-3)


def test_e1_interval_is_the_envelope_of_unrolls_and_errors():
    made = predictions(evidence([[0.1, 0.1], [0.3, 0.3]], error=0.05))[E1]
    np.testing.assert_allclose(made.value[1], np.mean([2.1, 2.3]))
    np.testing.assert_allclose([made.low[1], made.high[1]], [2.05, 2.35])


def test_closed_forms_have_the_published_values():
    made = predictions(evidence(np.zeros(10)))
    coherent = made["E4 optimiser memory, coherent"].value[[2, 4, 9]]
    incoherent = made["E4 optimiser memory, incoherent"].value[[2, 4, 9]]
    np.testing.assert_allclose(coherent, [5.6, 13.1, 41.4], atol=0.05)
    np.testing.assert_allclose(incoherent, [3.5, 6.4, 14.2], atol=0.05)
    np.testing.assert_allclose(made["E3 accumulation, incoherent"].value[8], 3.0)


def test_optimisers_without_memory_have_no_e4():
    labels = predictions(evidence(np.zeros(3), memory=None))
    assert not any("memory" in label for label in labels)
    assert len(labels) == 3
