"""A small synthetic run directory: made-up numbers, with the structure that training writes.

Nothing in it was measured. It exists so that the report can be tested without training anything.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

META_PARAMETERS = ("gamma", "lam", "c_crit", "c_entr")
EXPLANATIONS = (
    "E1 spectral radius",
    "E3 accumulation, coherent",
    "E3 accumulation, incoherent",
    "E4 Adam memory, coherent",
    "E4 Adam memory, incoherent",
)
OPERATORS = ("paper", "preconditioned", "update", "augmented")
ITERATIONS = 1000
_PARAMETERS = 24_895
_STARTS = {"gamma": 0.99, "lam": 0.99, "c_crit": 0.5, "c_entr": 0.01}


def make_run_directory(
    directory: Path,
    *,
    n: int = 5,
    probes: int = 6,
    seed: int = 0,
    logged: int = 200,
    status: str = "finished",
    operators: Sequence[str] = OPERATORS,
    products: bool = True,
) -> Path:
    """Write a made-up run.

    Args:
        directory: Where; it is made.
        n: Horizon of the run; 0 gives probes without variance.
        probes: How many probes, evenly spread over training.
        seed: Of the made-up numbers.
        logged: How many iterations are logged.
        status: As in `summary.json`.
        operators: Which operators of the inner steps the probes hold; none for an old run.
        products: Whether they hold norms of products, too.

    Returns:
        The directory.
    """
    random = np.random.default_rng(seed)
    (directory / "probes").mkdir(parents=True)
    _write_json(directory / "config.json", _config(n, seed))
    _write_metrics(directory / "metrics.jsonl", random, logged=logged, n=n)
    for iteration in np.linspace(ITERATIONS / 10, ITERATIONS, probes).astype(int).tolist():
        probe = make_probe(random, iteration=iteration, n=n)
        probe = with_operators(probe, random, operators=operators, products=products)
        probe.to_netcdf(directory / "probes" / f"probe_{iteration:06d}.nc", engine="h5netcdf")
    _write_json(directory / "summary.json", _summary(n, probes, status))
    return directory


def make_probe(random: np.random.Generator, *, iteration: int, n: int) -> xr.Dataset:
    """One made-up probe; without variance when n is 0."""
    rate = 6e-4 * (1 - 0.9 * iteration / ITERATIONS)
    dataset = xr.Dataset(_spectra(random, steps=max(n, 1), rate=rate))
    if n > 0:
        dataset = dataset.merge(_variance(random, n=n, progress=iteration / ITERATIONS))
        dataset = dataset.merge(_mechanism(random.spawn(1)[0], dataset))
    for name in dataset.data_vars:
        dataset[name].attrs = {"long_name": str(name).replace("_", " "), "units": "1"}
    dataset.attrs = {
        "iteration": iteration,
        "samples": 16,
        "confidence": 0.95,
        "headline_estimator": "n-step",
    }
    return dataset


def with_operators(
    probe: xr.Dataset, random: np.random.Generator, *, operators: Sequence[str], products: bool
) -> xr.Dataset:
    """A probe with made-up operators of its first unroll, as consistent as real ones.

    What the bound on an error settles is settled to first order, too; the radius is that of the
    values; the paper's matrix is symmetric, and the norms of its products stay below the product of
    the radii.
    """
    if not operators:
        return probe
    own = random.spawn(1)[0]  # the other numbers are what they are without operators
    steps = probe.sizes["inner_step"]
    made = [_operator(own, probe, name) for name in operators]
    variables = {
        name: (
            ("operator_unroll", "inner_step", "operator", "operator_ritz")[: one.ndim + 2],
            np.stack([operator[name] for operator in made], axis=1)[None],
        )
        for name, one in made[0].items()
    }
    if products:
        radii = [operator["operator_radius_minus_one"] for operator in made]
        variables |= _products(own, operators, radii)
    held = xr.Dataset(variables, coords={"operator": list(operators)})
    for name in held.data_vars:
        held[name].attrs = {"long_name": str(name).replace("_", " "), "units": "1"}
    return probe.merge(held.assign_coords(term=np.arange(1, steps + 1)))


def _operator(random: np.random.Generator, probe: xr.Dataset, name: str) -> dict[str, np.ndarray]:
    """One operator: variable -> values by inner step, and by Ritz value where there are several."""
    values, bound, estimate = _operator_values(random, probe, name)
    excess = np.nan_to_num(np.abs(1 + values) - 1, nan=-np.inf)
    steps = np.arange(len(values))
    outermost = excess.argmax(axis=-1)
    radius = excess[steps, outermost]
    departure = {"paper": 0.0, "augmented": 30.0}.get(name, 4e-3)
    scatter = random.lognormal(0, 0.05, len(values))
    return {
        "operator_radius_minus_one": radius,
        "operator_radius_error": bound[steps, outermost],
        "operator_radius_estimate": estimate[steps, outermost],
        "operator_exceeds_one": _decided(radius, bound[steps, outermost]),
        "operator_exceeds_one_first_order": _decided(radius, estimate[steps, outermost]),
        "departure": departure * scatter,
        "departure_se": 0.02 * departure * np.ones(len(values)),
        "operator_frobenius": {"paper": 1e-3, "augmented": 43.0}.get(name, 0.4) * scatter,
        "operator_matvecs": np.full(len(values), 96 if name == "paper" else 48, np.int32),
        "operator_converged": (random.random(len(values)) > 0.2).astype(np.int8),
        "operator_value_real": np.real(values),
        "operator_value_imag": np.imag(values),
        "operator_value_error": bound,
        "operator_value_estimate": estimate,
    }


def _operator_values(
    random: np.random.Generator, probe: xr.Dataset, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues of A - I by inner step, padded with NaN, their bounds and first-order errors."""
    steps, count = probe.sizes["inner_step"], 24
    if name == "paper":
        rate = probe["learning_rate"].values[:, None]
        values = -rate * probe["ritz_value"].values[0, :, 0] + 0j
        errors = rate * probe["ritz_error"].values[0, :, 0]
        return values, errors, errors
    values = np.sort(-random.exponential(0.05, (steps, count)), axis=-1) + 0j
    values[:, :3] = 0.01 * random.lognormal(0, 0.2, (steps, 3))
    estimate = random.lognormal(math.log(5e-5), 0.5, (steps, count))
    bound = 20 * estimate
    if name == "augmented":
        pairs = -0.08 + 0.23j * random.lognormal(0, 0.05, (steps, 4))
        values[:, :3] *= 6
        values[:, 3:7], values[:, 7:11] = pairs, pairs.conj()
        values[:, 11:18] = -0.1 + random.normal(0, 4e-3, (steps, 7))
        estimate, bound = 100 * estimate, np.full((steps, count), 8.0)
    for array in (values, bound, estimate):
        array[:, -3:] *= np.nan  # padding
    return values, bound, estimate


def _products(
    random: np.random.Generator, operators: Sequence[str], radii: list[np.ndarray]
) -> dict[str, tuple]:
    """Norms of the products over the last i - 1 inner steps, i = 1 .. n; the first is one."""
    norms = {}
    for name, radius in zip(operators, radii, strict=True):
        by_radii = np.concatenate([[0.0], np.cumsum(np.log1p(radius[:0:-1]))])
        share = {"paper": 0.8, "augmented": 1.5}.get(name, 4.0)  # above one: growth that passes
        norms[name] = np.expm1(share * by_radii * random.uniform(0.8, 1.0))
    if {"update", "augmented"} <= set(norms):
        norms["augmented"][:2] = norms["update"][:2]  # one step has no memory yet
    norm = np.stack(list(norms.values()), axis=-1)[None]
    error = 0.01 * np.abs(norm)
    error[:, 1:] += 2e-6
    words = _decided(norm, error)
    matvecs = np.where(norm == 0, 0, 9).astype(np.int32)
    dims = ("operator_unroll", "term", "operator")
    return {
        "product_norm_minus_one": (dims, norm),
        "product_norm_error": (dims, error),
        "product_exceeds_one": (dims, words),
        "product_matvecs": (dims, matvecs),
        "product_converged": (dims, np.ones(norm.shape, np.int8)),
    }


def _decided(value: np.ndarray, error: np.ndarray) -> np.ndarray:
    words = np.where(value - error > 0, "yes", np.where(value + error <= 0, "no", "undecided"))
    return words.astype(object)


def _spectra(random: np.random.Generator, *, steps: int, rate: float) -> dict[str, tuple]:
    unrolls, starts, ritz, grid = 3, 4, 24, 160
    ends = ("unroll", "inner_step")
    shape = (unrolls, steps)
    low = -random.lognormal(math.log(0.05), 0.6, shape)
    high = random.lognormal(math.log(2.0), 0.4, shape) * (1 + 0.1 * np.arange(steps))
    error = random.lognormal(math.log(2e-3), 0.8, shape)
    radius, radius_error = -rate * low, rate * error
    exceeds = np.where(radius > radius_error, "yes", "undecided")
    axis = np.arcsinh(np.linspace(-1, 1, grid)[None, None] * 6.0)
    axis = np.sinh(axis * 1.5) / np.sinh(1.5 * np.arcsinh(6.0)) * (1.1 * high[..., None])
    density = np.exp(-np.abs(axis) / 0.03) + 1e-5 * np.exp(-(((axis - 1.5) / 0.5) ** 2))
    density /= np.trapezoid(density, axis, axis=-1)[..., None]
    cumulative = np.cumsum(density * np.gradient(axis, axis=-1), axis=-1)
    cumulative /= cumulative[..., -1:]
    value, weight, residual = _ritz(random, low, high, starts=starts, ritz=ritz)
    above = np.abs(random.normal(0.31, 0.02, shape))
    return {
        "learning_rate": ("inner_step", np.full(steps, rate)),
        "hessian_min": (ends, low),
        "hessian_min_error": (ends, error),
        "hessian_max": (ends, high),
        "hessian_max_error": (ends, error / 10),
        "paper_low": (ends, -rate * high),
        "paper_low_error": (ends, rate * error / 10),
        "paper_high": (ends, radius),
        "paper_high_error": (ends, radius_error),
        "spectral_radius_minus_one": (ends, radius),
        "spectral_radius_minus_one_error": (ends, radius_error),
        "exceeds_one": (ends, exceeds.astype(object)),
        "mass_above_zero": (ends, above),
        "mass_above_zero_se": (ends, np.full(shape, 0.012)),
        "mass_below_minus_two": (ends, np.zeros(shape)),
        "mass_below_minus_two_se": (ends, np.zeros(shape)),
        "mass_inside": (ends, 1 - above),
        "mass_inside_se": (ends, np.full(shape, 0.012)),
        "mass_at_zero": (ends, np.full(shape, 0.2)),
        "mass_at_zero_se": (ends, np.full(shape, 0.01)),
        "symmetry_defect": (ends, random.lognormal(-16, 0.5, shape)),
        "matvecs": (ends, np.full(shape, starts * ritz)),
        "converged": (ends, (random.random(shape) > 0.15).astype(np.int8)),
        "ritz_value": ((*ends, "start", "ritz"), value),
        "ritz_weight": ((*ends, "start", "ritz"), weight),
        "ritz_error": ((*ends, "start", "ritz"), residual),
        "density_grid": ((*ends, "grid"), axis),
        "density": ((*ends, "grid"), density),
        "cumulative": ((*ends, "grid"), cumulative),
        "cumulative_se": ((*ends, "grid"), 0.04 * cumulative * (1 - cumulative)),
    }


def _ritz(
    random: np.random.Generator, low: np.ndarray, high: np.ndarray, *, starts: int, ritz: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = (*low.shape, starts, ritz)
    value = np.sort(random.laplace(0.0, 0.03, shape), axis=-1)
    value[..., 0] = low[..., None]
    for place in (1, 2, 3):
        value[..., -place] = high[..., None] / place**1.2
    error = np.full(shape, 0.02)
    error[..., 0] = error[..., -3:].max(-1) * 1e-2
    error[..., -3:] = 1e-5
    weight = random.random(shape)
    weight[..., [0, -1, -2, -3]] = random.chisquare(1, (*shape[:-1], 4)) / _PARAMETERS * 10
    weight /= weight.sum(-1, keepdims=True)
    value[..., 4], weight[..., 4], error[..., 4] = np.nan, np.nan, np.nan  # padding
    return value, weight, error


def _variance(random: np.random.Generator, *, n: int, progress: float) -> xr.Dataset:
    horizon = np.arange(1, n + 1)
    scale = np.array([3e-3, 1e-3, 4e-4, 2e-5])[None, None] * (1 + progress)
    power = np.array([1.3, 0.5])[:, None, None] * (1 + 0.2 * progress)
    noise = np.exp(random.normal(0, 0.05, (2, n, 4)))
    noise[:, 0] = noise[:1, 0]
    std = scale * horizon[None, :, None] ** power * noise
    ratio = std / std[:, :1]
    wide = np.where(horizon == 1, 0.0, 0.18)[None, :, None]
    growth = ratio.mean(-1)
    axes = ("estimator", "horizon", "meta_parameter")
    variables = {
        "meta_gradient": (
            ("sample", "horizon", "meta_parameter"),
            random.normal(0, 1, (16, n, 4)) * std[0],
        ),
        **_with_ends("std", axes, std, 0.8 * std, 1.25 * std),
        **_with_ends("mean", axes, 0.1 * std, -0.3 * std, 0.5 * std),
        **_with_ends("ratio", axes, ratio, ratio * (1 - wide), ratio * (1 + wide)),
        **_with_ends(
            "growth",
            axes[:2],
            growth,
            growth * (1 - wide[..., 0]),
            growth * (1 + wide[..., 0]),
        ),
        **_predictions(random, horizon),
    }
    return xr.Dataset(
        variables,
        coords={
            "horizon": horizon,
            "estimator": ["n-step", "mix"],
            "meta_parameter": list(META_PARAMETERS),
            "explanation": list(EXPLANATIONS),
        },
    )


def _mechanism(random: np.random.Generator, probe: xr.Dataset) -> xr.Dataset:
    """Made-up growth under cuts, and shares of the variance."""
    growth = probe["growth"].sel(estimator="n-step").values
    n = len(growth)
    shares = np.array([0.0, 0.1, 0.6, 0.7])[:, None]
    cut = np.exp((1 - shares) * np.log(growth)) * np.exp(random.normal(0, 0.02, (4, n)))
    cut[:, 0] = 1.0
    removed = np.where(np.arange(n) > 0, np.broadcast_to(shares, (4, n)), np.nan)
    validation = np.linspace(0.4, 0.2, n)
    steps = np.tril(np.broadcast_to((1 - validation)[:, None] / n, (n, n)))
    steps = np.where(steps > 0, steps, np.nan)
    axes = ("cut", "cut_horizon")

    def around(name, dims, values, wide):
        return _with_ends(name, dims, values, values - wide, values + wide)

    return xr.Dataset(
        {
            **_with_ends("cut_growth", axes, cut, 0.9 * cut, 1.1 * cut),
            **around("cut_removed", axes, removed, 0.1),
            **around("validation_share", ("horizon",), validation, 0.1),
            **around("inner_share", ("horizon",), 1 - validation, 0.1),
            **around("step_share", ("horizon", "inner_step"), steps, 0.05),
        },
        coords={
            "cut": ["full", "no-hessian", "no-memory", "neither"],
            "cut_horizon": probe["horizon"].values,
            "horizon": probe["horizon"].values,
            "inner_step": np.arange(n),
        },
    )


def _predictions(random: np.random.Generator, horizon: np.ndarray) -> dict[str, tuple]:
    memory = np.cumsum([(1 - 0.9**k) / 0.1 for k in horizon])
    shapes = (
        horizon * (1 + 1e-5) ** horizon,
        horizon.astype(float),
        np.sqrt(horizon),
        memory,
        np.sqrt(np.cumsum([((1 - 0.9**k) / 0.1) ** 2 for k in horizon])),
    )
    jitter = np.exp(random.normal(0, 0.02, (len(shapes), 1))) ** (horizon > 1)
    prediction = np.stack(shapes) * jitter
    return _with_ends(
        "prediction", ("explanation", "horizon"), prediction, 0.97 * prediction, 1.03 * prediction
    )


def _with_ends(name: str, dimensions: tuple[str, ...], *values: np.ndarray) -> dict[str, tuple]:
    names = (name, f"{name}_low", f"{name}_high")
    return {full: (dimensions, value) for full, value in zip(names, values, strict=True)}


def _write_metrics(path: Path, random: np.random.Generator, *, logged: int, n: int) -> None:
    lines = []
    for iteration in np.linspace(0, ITERATIONS, logged).astype(int).tolist():
        progress = iteration / ITERATIONS
        finished = random.random() > 0.1
        drift = {
            name: (0.3 if n else 0.0) * progress * k for k, name in enumerate(_STARTS, start=1)
        }
        eta = {k: math.log(v / (1 - v)) + drift[k] for k, v in _STARTS.items()}
        gradient = {k: float(random.normal(0, 1e-3)) if n else 0.0 for k in _STARTS}
        record = {
            "iteration": iteration,
            "learning_rate": 6e-4 * (1 - progress),
            "inner_loss": float(random.normal(0.5, 0.1)),
            "outer_loss": float(random.normal(0.4, 0.1)),
            "metrics": {
                "return": float(60 * progress + random.normal(5, 4)) if finished else None,
                "episodes": float(random.integers(1, 9)) if finished else 0.0,
            },
            "hyper": {k: 1 / (1 + math.exp(-v)) for k, v in eta.items()},
            "eta": eta,
            "meta_gradient": gradient,
            "meta_gradient_norm": math.sqrt(sum(g * g for g in gradient.values())),
        }
        lines.append(json.dumps(record))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _config(n: int, seed: int) -> dict:
    return {
        "format_version": 1,
        "settings": {
            "env": "synthetic",
            "n": n,
            "estimator": "n-step",
            "seed": seed,
            "preset": "smoke",
            "problem": {"board": [12, 12], "batch": 32, "rollout": 20},
            "learning": {"inner": "adam", "learning_rate": 6e-4, "clip": 10.0},
            "train": {"iterations": ITERATIONS, "log_every": 5},
            "probe": {"samples": 16, "every": 180, "unrolls": 3, "starts": 4},
        },
        "provenance": {
            "command": f"hessdiag run --env synthetic --n {n} --seed {seed} --preset smoke",
            "created": "2026-01-01T00:00:00+00:00",
            "versions": {"hessdiag": "0.1.0", "jax": "0.0.0", "python": "3.11"},
            "platform": "made-up",
            "device": "none",
            "precision": "float32",
            "matmul_precision": "highest",
            "git_revision": None,
        },
        "meta_parameters": [
            {"name": name, "start": start, "transform": "sigmoid"}
            for name, start in _STARTS.items()
        ],
        "our_choices": [
            "Rollout length 20: the paper gives none.",
            "Total number of iterations: the paper gives none.",
        ],
        "problem": {
            "description": "Synthetic test data: no number on this page was measured.",
            "headline": "return",
            "parameters": _PARAMETERS,
        },
    }


def _summary(n: int, probes: int, status: str) -> dict:
    finding = [
        f"At horizon {n} the standard deviation grew by a made-up factor with <angle> brackets.",
        "The spectral radius of I + H exceeded one by at most 6.1e-05, so E1 predicts no growth "
        "beyond accumulation.",
    ]
    correlation = {
        label: {
            "value": 0.1 + 0.15 * place,
            "low": -0.2 + 0.1 * place,
            "high": 0.4 + 0.12 * place,
            "probes": probes,
            "method": "Spearman",
        }
        for place, label in enumerate(EXPLANATIONS)
    }
    return {
        "status": status,
        "iteration": ITERATIONS,
        "iterations": ITERATIONS,
        "finding": finding if n else [],
        "message": None,
        "correlation": correlation if n else {},
        "final": {"return": 61.0},
    }


def _write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
