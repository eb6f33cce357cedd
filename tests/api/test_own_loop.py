"""Probes of training loops of one's own: the numbers, the files, and what is refused."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

import hessdiag
from hessdiag.errors import UsageError
from hessdiag.train.launch import reopen

ROOT = Path(__file__).parents[2]
RATE, N = 0.1, 3
EXAMPLES = ["weight_decay", "learned_optimiser", "one_scan"]
TARGETS = jnp.linspace(-1.0, 1.0, 8)


def inner_loss(params, eta, batch):
    """A quadratic whose curvature is exp(η)."""
    return 0.5 * jnp.exp(eta["log_weight"]) * jnp.mean((params["w"] - batch) ** 2)


def outer_loss(params, eta, batch):
    del eta
    return 0.5 * jnp.mean((params["w"] - batch) ** 2)


def batches(key):
    return jax.random.choice(key, TARGETS, (4,))


def loop(**changes):
    """The arguments of a probe of gradient descent on that quadratic."""
    return {
        "inner_loss": inner_loss,
        "optimiser": optax.sgd(RATE),
        "learning_rate": RATE,
        "outer_loss": outer_loss,
        "batches": batches,
        "n": N,
        "samples": 8,
        "resamples": 100,
        "operators": ("paper",),
        "products": False,
        **changes,
    }


PARAMS, ETA = {"w": jnp.array(2.0)}, {"log_weight": jnp.array(0.3)}
STATE = (PARAMS, optax.sgd(RATE).init(PARAMS), ETA)


@pytest.fixture(scope="module")
def probe():
    return hessdiag.Probe(**loop())


@pytest.fixture(scope="module")
def found(probe):
    return probe(*STATE, step=5)


def far(key):
    return 5.0 + batches(key)


@pytest.mark.parametrize("validation", [None, far])
def test_meta_gradients_are_those_of_the_closed_form(validation):
    """θ' = θ − α e^η (θ − mean of the batch): all of it is arithmetic."""
    from hessdiag.meta import sources, streams

    curvature = np.exp(0.3)
    result = hessdiag.diagnose(*STATE, step=5, **loop(validation=validation))
    measured = result.probes.isel(cell=0, iteration=0)
    np.testing.assert_allclose(measured.hessian_max, curvature, rtol=1e-5)
    radius = measured.spectral_radius_minus_one
    np.testing.assert_allclose(radius, -RATE * curvature, rtol=1e-4)
    keys = streams.samples(streams.run_keys(0).probe, 5, 8)
    expected = []
    for key in keys:
        drawn = sources(key, N)
        w, slope, row = 2.0, 0.0, []
        for j in range(N):
            pull = curvature * (w - float(batches(drawn.inner[j]).mean()))
            slope, w = slope - RATE * (pull + curvature * slope), w - RATE * pull
            row.append((w - float((validation or batches)(drawn.validation[j, 0]).mean())) * slope)
        expected.append(row)
    std = np.std(expected, axis=0, ddof=1)
    n_step = measured["std"].sel(estimator="n-step").isel(meta_parameter=0)
    np.testing.assert_allclose(n_step, std, rtol=1e-4)
    np.testing.assert_allclose(measured.growth.sel(estimator="n-step"), std / std[0], rtol=1e-4)


def test_a_result_can_be_read_in_every_way(found, tmp_path):
    from matplotlib.figure import Figure

    assert found.verdict
    assert "`--" not in str(found)  # its reader has no command line
    assert "--counterfactuals" not in str(found)
    assert {check.code for check in found.checks} >= {"HD007"}
    table = found.frame()
    assert set(table["horizon"]) == {1, 2, 3}
    assert found.to_markdown().count("\n") == len(table) + 1
    with pytest.raises(KeyError, match="no table 'no-such'"):
        found.frame("no-such")
    assert len(str(found).splitlines()) <= 25
    page = found._repr_html_()
    assert "<img" in page
    assert len(page) < 100_000
    axes = Figure().subplots()
    assert found.plot(axes) is axes.figure
    assert axes.lines
    kept = json.loads(found.save(tmp_path / "found.json").read_text())
    assert kept["verdict"]


def test_a_second_state_compiles_nothing(probe, found):
    del found
    traced = []

    def counted(params, eta, batch):
        traced.append(None)
        return inner_loss(params, eta, batch)

    counting = hessdiag.Probe(**loop(inner_loss=counted, samples=2, operators=()))
    counting(*STATE, step=5)
    before = len(traced)
    counting({"w": jnp.array(1.0)}, *STATE[1:], step=6)
    assert len(traced) == before
    assert probe.spent > 8


def test_a_recorded_loop_is_a_run_to_all_that_reads_runs(tmp_path):
    recording = hessdiag.Probe(**loop(samples=4, operators=(), every=2, budget=1000.0))
    path = tmp_path / "loop"
    for step in range(4):
        metrics = {"outer_loss": float(step) if step else float("nan")}
        result = recording.record(path, *STATE, step=step, metrics=metrics)
        assert (result is None) == (step % 2 == 1)
    opened = hessdiag.open_run(path)
    assert list(opened.probes.iteration.values) == [0, 2]
    assert (path / "report.html").is_file()
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["metrics"]["outer_loss"] for line in lines] == [None, 1.0, 2.0, 3.0]
    assert opened.findings.settings["learning.optimiser"] == ["the optimiser"]
    with pytest.raises(UsageError, match=r"--resume: .* training loop of your own"):
        reopen(path, command="hessdiag run --resume loop")
    with pytest.raises(UsageError, match="a run, not a study"):
        hessdiag.open_study(path)
    again = hessdiag.Probe(**loop(samples=4, operators=(), every=2))
    again.record(path, *STATE, step=2)
    assert list(hessdiag.open_run(path).probes.iteration.values) == [0, 2]
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 3
    other = hessdiag.Probe(**loop(n=2))
    with pytest.raises(UsageError, match=r"n = 3, this loop 2; allowed"):
        other.record(path, *STATE, step=4)
    for name, change in (("probes/probe_000000.nc", -1), ("metrics.jsonl", 20)):
        file = path / name
        content = bytearray(file.read_bytes())
        content[change] ^= 1
        file.write_bytes(content)
        with pytest.raises(UsageError, match=f"{name}: .*not as summary.json counts it"):
            hessdiag.open_run(path)
        content[change] ^= 1
        file.write_bytes(content)
    assert len(hessdiag.open_run(path).probes.iteration) == 2


def test_what_is_kept_of_a_study_is_opened_without_jax():
    program = (
        "import sys, hessdiag\n"
        f"study = hessdiag.open_study({str(ROOT / 'reports' / 'mechanism')!r})\n"
        "assert len(study.frame()) and study.verdict and study.plot().axes\n"
        "assert hessdiag.__version__ and not study.probes.sizes\n"
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_spent_budget_measures_no_more(tmp_path):
    recording = hessdiag.Probe(**loop(samples=4, operators=(), budget=1.0))
    assert recording.record(tmp_path / "loop", *STATE, step=0) is not None
    assert recording.record(tmp_path / "loop", *STATE, step=1) is None


def test_states_of_a_compiled_loop_are_those_of_the_loop(tmp_path):
    """`keep` under scan hands over what a plain loop would have, typed keys and all."""
    probe = hessdiag.Probe(**loop(samples=2, operators=(), every=2))

    @jax.jit
    def train(w, key):
        def step(carry, number):
            w, key = carry
            probe.keep(number, {"w": w}, STATE[1], ETA, {"key": key})
            return (w - 0.5, jax.random.split(key)[0]), None

        return jax.lax.scan(step, (w, key), jnp.arange(5))[0]

    first = jax.random.key(3)
    jax.block_until_ready(train(jnp.array(2.0), first))
    kept = probe._kept.take()
    assert [step for step, _ in kept] == [0, 2, 4]
    assert [float(params["w"]) for _, (params, *_) in kept] == [2.0, 1.0, 0.0]
    third = jax.random.split(jax.random.split(first)[0])[0]
    assert kept[1][1][3]["key"] == third
    assert probe.record_kept(tmp_path / "loop") is None


@jax.tree_util.register_dataclass
@dataclass
class Module:
    """A dataclass whose arrays, integers and functions are leaves alike."""

    w: jax.Array
    index: jax.Array
    transform: object


def as_dataclass():
    return Module(jnp.array(2.0), jnp.arange(3), jnp.tanh), lambda module: module.w


def as_equinox():
    class Net(eqx.Module):
        w: jax.Array
        index: jax.Array
        transform: object
        width: int = eqx.field(static=True)

    return Net(jnp.array(2.0), jnp.arange(3), jnp.tanh, 1), lambda net: net.w


def as_nnx():
    class Net(nnx.Module):
        def __init__(self):
            self.w = nnx.Param(jnp.array(2.0))
            self.rngs = nnx.Rngs(0)

    return nnx.state(Net()), lambda state: state["w"][...]


def as_linen():
    class Net(nn.Module):
        @nn.compact
        def __call__(self):
            return self.param("w", lambda _: jnp.array(2.0))

    net = Net()
    return net.init(jax.random.key(0)), net.apply


@pytest.mark.parametrize("make", [as_dataclass, as_equinox, as_nnx, as_linen])
def test_parameters_of_every_kind_give_the_same_numbers(make, found):
    params, weight = make()

    def of(loss):
        return lambda params, eta, batch: loss({"w": weight(params)}, eta, batch)

    changes = {"inner_loss": of(inner_loss), "outer_loss": of(outer_loss)}
    state = optax.sgd(RATE).init(hessdiag.trainable(params))
    result = hessdiag.diagnose(params, state, ETA, step=5, **loop(**changes))
    np.testing.assert_allclose(result.frame()["growth"], found.frame()["growth"], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batches": None}, "rollout, batches: one of the two"),
        ({"every": 0}, "every: 0 is not allowed"),
        ({"n": 0}, "n: 0 is not allowed"),
        ({"learning_rate": None}, "learning_rate: None"),
        ({"samples": 1}, r"probe.samples .*: 1 is not allowed"),
        ({"sample": 3}, "probe.sample: no such setting"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        hessdiag.Probe(**loop(**changes))


def test_a_state_of_another_optimiser_is_refused(probe):
    with pytest.raises(UsageError, match="opt_state: it is of other parameters"):
        probe(PARAMS, optax.adam(RATE).init(PARAMS), ETA)


def test_every_example_on_the_page_is_there():
    page = (ROOT / "docs" / "your-loop.md").read_text()
    shown = set(re.findall(r"examples/(\w+)\.py", page))
    assert shown == set(EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_find_growth_and_write_a_report(name, tmp_path):
    file = ROOT / "docs" / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.main(tmp_path / name)
    growth = next(answer for answer in result.verdict if answer.question == "growth")
    assert growth.status == "holds"
    assert (tmp_path / name / "report.html").is_file()
