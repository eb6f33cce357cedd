"""Curvature of chosen leaves beside a probe of a loop: against dense blocks, and in the files."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hessdiag
from hessdiag.analysis.leaves import TOGETHER
from hessdiag.errors import UsageError
from hessdiag.meta.streams import first_rollout, run_keys
from hessdiag.record.schema import SCHEMA

RATE = 0.1
PARAMS = {"first": {"kernel": jnp.linspace(-1, 1, 6).reshape(2, 3), "bias": jnp.full(3, 0.2)}}
PARAMS |= {"last": jnp.array([0.5, -1.0, 2.0]), "count": 7}
ETA = {"log_weight": jnp.array(0.3)}


def inner_loss(params, eta, batch):
    layer = params["first"]
    hidden = jnp.tanh(batch @ layer["kernel"] + layer["bias"][None])
    return jnp.exp(eta["log_weight"]) * jnp.mean((hidden @ params["last"] - 1) ** 2)


def outer_loss(params, eta, batch):
    return inner_loss(params, jax.tree.map(jnp.zeros_like, eta), batch)


def batches(key):
    return jax.random.normal(key, (8, 2))


def probe(**changes):
    options = {"samples": 4, "resamples": 100, "operators": ("paper",), "products": False}
    return hessdiag.Probe(
        optimiser=optax.sgd(RATE),
        learning_rate=RATE,
        outer_loss=outer_loss,
        batches=batches,
        n=1,
        **{"inner_loss": inner_loss, **options, **changes},
    )


STATE = (PARAMS, optax.sgd(RATE).init(hessdiag.trainable(PARAMS)), ETA)


def rows(found):
    return found.frame("leaves").set_index("leaf")


@pytest.fixture(scope="module")
def everywhere():
    return probe(where=lambda _: True)(*STATE, progress=False)


def test_all_leaves_together_are_the_hessian_of_the_first_inner_step(everywhere):
    whole = everywhere.probes.isel(cell=0, iteration=0, unroll=0, inner_step=0)
    together = rows(everywhere).loc[TOGETHER]
    assert together.parameters == 12
    for end, name in (("lowest", "hessian_min"), ("highest", "hessian_max")):
        assert together[end] == pytest.approx(float(whole[name]), rel=1e-5)
    radius = max(-RATE * together.lowest, RATE * together.highest - 2)
    assert together.radius_minus_one == pytest.approx(radius)


def test_the_probe_has_every_variable_of_the_part(everywhere):
    own = {name for name, variable in SCHEMA.items() if variable.part == "leaves"}
    probed = everywhere.probes.isel(cell=0, iteration=0)
    assert own <= set(probed.data_vars)
    assert {name: probed[name].dims for name in own} == {name: SCHEMA[name].dims for name in own}


def test_each_leaf_is_its_block_of_the_dense_hessian(everywhere):
    """At the batch whose whole Hessian has the trace and the ends that the probe found."""
    floats = hessdiag.trainable(PARAMS)
    key = first_rollout(run_keys(0).probe, 0, 4)
    dense = jax.hessian(lambda p: inner_loss(p, ETA, batches(key)))(
        {name: leaf for name, leaf in floats.items() if name != "count"}
    )
    blocks = {
        "first.bias": dense["first"]["bias"]["first"]["bias"],
        "first.kernel": dense["first"]["kernel"]["first"]["kernel"].reshape(6, 6),
        "last": dense["last"]["last"],
    }
    traces = {name: np.trace(block) for name, block in blocks.items()}
    table = rows(everywhere)
    assert set(table.index) == {*blocks, TOGETHER}
    for name, block in blocks.items():
        values, row = np.linalg.eigvalsh(np.asarray(block, np.float64)), table.loc[name]
        assert abs(row.lowest - values[0]) <= row.lowest_error + 1e-5
        assert abs(row.highest - values[-1]) <= row.highest_error + 1e-5
        assert row.share == pytest.approx(traces[name] / sum(traces.values()), abs=1e-4)


def test_a_subset_is_kept_with_the_run(tmp_path, everywhere):
    measured = probe(where="first")
    for step in (0, 1):
        measured.record(tmp_path / "run", *STATE, step=step, progress=False)
    found = hessdiag.open_run(tmp_path / "run")
    table = rows(found)
    assert set(table.index) == {"first.bias", "first.kernel", TOGETHER}
    assert table.loc[TOGETHER].parameters == 9
    assert found.probes.sizes["iteration"] == 2
    part, whole = (data.probes.leaves_highest.squeeze() for data in (found, everywhere))
    assert part.sel(iteration=0) <= whole * (1 + 1e-6)  # a principal block


def test_the_first_screen_has_a_row_for_each_leaf(everywhere):
    begins = {line.split()[0] for line in str(everywhere).splitlines() if line.split()}
    assert {"first.bias", "first.kernel", "last"} <= begins


def test_without_where_there_is_no_table_and_no_product_more(everywhere):
    plain = probe()(*STATE, progress=False)
    assert not len(plain.frame("leaves"))
    assert "leaf_matvecs" not in plain.probes
    assert int(everywhere.probes.leaf_matvecs.squeeze()) > 0


@pytest.mark.parametrize("where", ["middle", lambda _: False, 3])
def test_no_leaf_is_refused_in_one_line(where):
    with pytest.raises(UsageError, match=r"^where=") as raised:
        probe(where=where)(*STATE, progress=False)
    assert "\n" not in str(raised.value)


@jax.custom_jvp
def swirl(w):
    """Half the square of w, whose gradient is said to be a map that is not symmetric."""
    return 0.5 * jnp.sum(w**2)


@swirl.defjvp
def _(primals, tangents):
    skewed = jnp.eye(3) + 0.9 * jnp.eye(3, k=1)
    return swirl(*primals), jnp.vdot(skewed @ primals[0], tangents[0])


def test_what_is_not_symmetric_is_no_number_and_loses_no_probe(tmp_path):
    def loss(params, eta, batch):
        return inner_loss(params, eta, batch) + swirl(params["last"])

    measure = probe(inner_loss=loss, where="last")
    found = measure.record(tmp_path / "run", *STATE, step=0, progress=False)
    assert found is not None
    assert (tmp_path / "run" / "report.html").is_file()
    probed = found.probes.isel(cell=0, iteration=0)
    assert np.isnan(probed.hessian_max.isel(unroll=0, inner_step=0))
    assert np.isnan(probed.leaves_highest)
    assert [*probed.leaf_size.values] == [3]
    assert np.isnan(rows(found).loc["last"].highest)
    assert np.isfinite(probed["mean"]).all()
