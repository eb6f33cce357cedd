import numpy as np

from hessdiag.probes.explanations import Evidence, Radii, predictions

E1 = "E1 spectral radius"


def evidence(radius_minus_one, error=0.0, memory: float | None = 0.9, **more):
    radius = np.atleast_2d(np.asarray(radius_minus_one, float))
    return Evidence(radius, np.full_like(radius, error), memory, **more)


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


def test_e1_of_the_optimisers_operators_has_their_radii():
    radii = {
        "update": Radii(np.array([[9.0, 1.0, 0.5]]), np.array([[0.0, 0.5, 0.25]])),
        "augmented": Radii(np.array([[9.0, 0.0, 1.0]]), np.zeros((1, 3))),
    }
    made = predictions(evidence(np.zeros(3), operator_radii=radii))
    update = made[f"{E1}, update"]
    np.testing.assert_allclose(update.value, [1, 1 + 2, 1 + 1.5 + 1.5 * 2])
    np.testing.assert_allclose(update.low, [1, 1 + 1.5, 1 + 1.25 + 1.25 * 1.5])
    np.testing.assert_allclose(update.high, [1, 1 + 2.5, 1 + 1.75 + 1.75 * 2.5])
    np.testing.assert_allclose(made[f"{E1}, augmented"].value, [1, 2, 1 + 2 + 2 * 1])
    np.testing.assert_allclose(made[E1].value, [1, 2, 3])
    assert f"{E1}, preconditioned" not in made


def test_e1_takes_a_radius_for_no_less_than_zero():
    radii = {"update": Radii(np.array([[0.0, 0.5]]), np.array([[0.0, 4.0]]))}
    made = predictions(evidence(np.zeros(2), operator_radii=radii))[f"{E1}, update"]
    np.testing.assert_allclose([made.low[1], made.high[1]], [1.0, 6.5])


def test_e1_leaves_out_unrolls_with_a_radius_that_did_not_converge():
    minus_one = np.array([[0.0, np.nan, 0.0], [0.0, 1.0, 1.0]])
    some = {"update": Radii(minus_one, np.zeros((2, 3)))}
    none = {"update": Radii(minus_one[:1], np.zeros((1, 3)))}
    made = predictions(evidence(np.zeros(3), operator_radii=some))[f"{E1}, update"]
    np.testing.assert_allclose([made.value, made.low, made.high], [[1, 3, 7]] * 3)
    unknown = predictions(evidence(np.zeros(3), operator_radii=none))[f"{E1}, update"]
    assert np.isnan(unknown).all()


def test_e2_is_the_sum_of_the_norms_of_products():
    norms = {"paper": np.array([[1.0, 2.0, 0.5], [1.0, 4.0, 3.5]])}
    made = predictions(evidence(np.zeros(3), product_norms=norms))
    e2 = made["E2 products, paper"]
    np.testing.assert_allclose(e2.value, [1, 4, 6])
    np.testing.assert_allclose(e2.low, [1, 3, 3.5])
    np.testing.assert_allclose(e2.high, [1, 5, 8.5])
    assert "E2 products, preconditioned" not in made


def test_e5_is_the_sum_of_what_t_reads_of_every_step_over_that_of_one():
    reach = np.array([[2.0, 0, 0], [np.nan, np.nan, np.nan], [3.0, 4.0, 12.0]])
    made = predictions(evidence(np.zeros(3), reach=reach))
    coherent = made["E5 transient growth, coherent"].value
    incoherent = made["E5 transient growth, incoherent"].value
    np.testing.assert_allclose(coherent, [1, np.nan, 19 / 2])
    np.testing.assert_allclose(incoherent, [1, np.nan, 13 / 2])


def test_e6_is_the_growth_of_the_spread_averaged_over_meta_parameters():
    spread = np.array([[1.0, 2.0, 0.0], [3.0, 10.0, 5.0]])  # the last does not vary at one step
    made = predictions(evidence(np.zeros(2), outer_std=spread))
    np.testing.assert_allclose(made["E6 validation noise"].value, [1, (3 + 5) / 2])


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
