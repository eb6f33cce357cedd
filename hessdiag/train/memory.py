"""How much memory a run takes, found without taking it: by shapes, and by compiled programs."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.core import ShapedArray
from jax.extend.core import Jaxpr, subjaxprs
from jax.stages import Compiled

from hessdiag.probes.chunks import side_by_side
from hessdiag.probes.settings import ProbeSettings
from hessdiag.probes.spectral import SpectralProbe
from hessdiag.problems import BUILT_IN
from hessdiag.rl.networks import count_parameters
from hessdiag.spectra import DENSE_LIMIT
from hessdiag.spectra.gram_schmidt import BLOCK
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.probe import measured_by, sampling_programs
from hessdiag.train.settings import Settings, TrainSettings, measured_horizon, probe_iterations

PROCESS = 512 * 2**20
"""Bytes of what is compiled and of the compiler, beside what imports take: 300 to 700 MiB seen."""

_KEY, _INDEX = 8, 8  # bytes of a random key, and of an index
_PACKED = 4  # copies of a state while it is saved: leaves, one array, its digest, orbax's


class Sizes(NamedTuple):
    """Bytes of what a run is made of, but for `size`."""

    state: int  # of a TrainState
    inner: int  # of what an inner update changes: parameters and the optimiser's state
    parameters: int
    size: int  # of the parameters, a number and no bytes
    trajectories: int  # of one rollout
    kept: int  # by the forward pass of one gradient, for the backward pass
    largest: int  # array inside of both; the compiler may do without it
    meta: int  # of the meta-parameters


def sizes_of(settings: Settings) -> Sizes:
    """By shapes alone, in about a second."""
    asked = f"{_of_shapes(settings)}, {jax.config.read('jax_enable_x64')}"
    return _remembered(_SIZES, asked, lambda: _sizes(settings))


def _sizes(settings: Settings) -> Sizes:
    learner = Learner(settings)
    system, key = learner.system, jax.eval_shape(jax.random.key, 0)
    state = jax.eval_shape(learner.init, key)
    _, trajectories = jax.eval_shape(
        system.rollout, state.inner.params, state.eta, state.env_state, key
    )

    def backward(params, eta, trajectories):
        return jax.vjp(lambda params: system.update.loss(params, eta, trajectories), params)[1]

    def both(params, eta, env_state, key):
        return backward(params, eta, system.rollout(params, eta, env_state, key)[1])

    params = state.inner.params
    kept = jax.eval_shape(backward, params, state.eta, trajectories)
    inside = jax.make_jaxpr(both)(params, state.eta, state.env_state, key)
    return Sizes(
        state=bytes_of(state),
        inner=bytes_of(state.inner),
        parameters=bytes_of(params),
        size=count_parameters(params),
        trajectories=bytes_of(trajectories),
        kept=bytes_of(kept),
        largest=_largest(inside.jaxpr),
        meta=bytes_of(state.eta),
    )


def _largest(program: Jaxpr) -> int:
    """Bytes of the largest array that a program names."""
    named = [variable.aval for equation in program.eqns for variable in equation.outvars]
    own = [a.size * a.dtype.itemsize for a in named if isinstance(a, ShapedArray)]
    return max([*own, *map(_largest, subjaxprs(program))], default=0)


def at_least(settings: Settings, *, seeds: int = 1) -> int | None:
    """Bytes that runs of `seeds` seeds together certainly hold at once.

    None where a problem of one's own cannot be traced, which is said where it is checked. Counted
    are the states before and after an iteration, and what the reverse pass of an inner update
    reads; at a probe whole unrolls, of spectra and of a chunk of samples, a Krylov basis, and what
    intervals are made of.
    """
    sizes = _traced(settings)
    return sizes and _held(settings, seeds, sizes, sizes.trajectories + sizes.kept)


def suspected(settings: Settings, *, seeds: int = 1) -> int | None:
    """The same, and the largest array inside of a gradient, which a program may do without."""
    sizes = _traced(settings)
    gradient = sizes and max(sizes.trajectories + sizes.kept, sizes.largest)
    return sizes and _held(settings, seeds, sizes, gradient or 0)


def _traced(settings: Settings) -> Sizes | None:
    try:
        return sizes_of(settings)
    except Exception:  # whatever a user's function may raise
        if settings.env in BUILT_IN:
            raise
        return None


def _held(settings: Settings, seeds: int, sizes: Sizes, gradient: int) -> int:
    """At once, where the gradient of one batch holds so much."""
    states, chunk = 2 * seeds * sizes.state, settings.probe.chunk
    at_once = min(chunk, seeds) * min(chunk, settings.monte_carlo)
    stored = 1 if settings.remat else max(settings.n, 1)
    keys = seeds * settings.monte_carlo * _KEY
    probe, n = 0, measured_horizon(settings)
    if n and probe_iterations(settings):
        unroll = n * (sizes.inner + sizes.trajectories)
        vectors = settings.probe.starts + _rows(settings, sizes.size)
        samples, resamples = settings.probe.samples, settings.probe.resamples
        probe = max(
            (1 + chunk) * unroll + chunk * gradient + n * sizes.kept + vectors * sizes.parameters,
            samples * (n * sizes.meta + _KEY + 2 * resamples * _INDEX),  # drawn, and counted
        )
    return states + keys + max(at_once * stored * gradient, probe)


def needed(settings: Settings, *, seeds: int = 1) -> int:
    """Bytes that runs of `seeds` seeds together take, by what their programs say when compiled.

    Compiles them, which takes a minute at the most and is not lost: the runs find them in the
    cache. Runs nothing.
    """
    asked = repr((dataclasses.replace(settings, seed=0), seeds))
    return _remembered(_NEEDS, asked, lambda: _needed(settings, seeds))


def _needed(settings: Settings, seeds: int) -> int:
    learner, key = Learner(settings), jax.eval_shape(jax.random.key, 0)
    state = jax.eval_shape(learner.init, key)
    beside = (seeds * (seeds > 1) + _PACKED) * bytes_of(state)
    training = program_bytes(_step(learner, settings, state, key, seeds).compile())
    probe = 0
    if measured_horizon(settings) and probe_iterations(settings):
        probe = 2 * seeds * bytes_of(state) + _probe(learner, settings, state, key)
    return PROCESS + beside + max(training, probe)


def _step(learner: Learner, settings: Settings, state: TrainState, key: Any, seeds: int):
    """The program that these seeds train with."""
    states, keys = state, key
    if seeds > 1:
        states = jax.tree.map(lambda leaf: leaf.update(shape=(seeds, *leaf.shape)), state)
        keys = _several(key, seeds)
    if settings.train.stride == 1:
        return (learner.step if seeds == 1 else learner.step_together).lower(states, keys)
    program = learner.advance if seeds == 1 else learner.advance_together
    number = jax.ShapeDtypeStruct((), int)
    return program.lower(states, keys, number, number)


def _probe(learner: Learner, settings: Settings, state: TrainState, key: Any) -> int:
    """Bytes of a probe: spectra of one unroll, and chunks of samples that are drawn meanwhile."""
    measured, probe = measured_by(learner, settings), settings.probe
    points, steps, hessians = SpectralProbe(measured).planned(state, key)
    keys = key if probe.chunk == 1 else _several(key, probe.chunk)
    drawn = [
        program_bytes(program.lower(state, keys).compile())
        for program, _ in sampling_programs(measured)
    ]
    more = bytes_of(points)
    if probe.operators or probe.products:  # whose rounding is that of other linearised steps
        more += bytes_of(steps)
    if "augmented" in probe.operators:  # its vectors hold the optimiser's memory, too
        memory = steps.memory
        more += _rows(settings, memory.size) * memory.size * memory.dtype.itemsize
    return program_bytes(hessians.compile()) + more + side_by_side() * max(drawn)


def _rows(settings: Settings, size: int) -> int:
    """Of a Krylov basis in a space of this size."""
    blocks = -(-min(settings.probe.max_matvecs, size) // BLOCK)
    return BLOCK * blocks if size > DENSE_LIMIT else size


def _several(key: Any, number: int) -> Any:
    return jax.eval_shape(lambda key: jax.random.split(key, number), key)


def bytes_of(tree: Any) -> int:
    """Of the arrays of a pytree, or of arrays of these shapes."""
    leaves = jax.tree.leaves(tree)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def program_bytes(compiled: Compiled) -> int:
    """What a program takes while it runs: arguments, results and what lies between."""
    memory = compiled.memory_analysis()
    sizes = ("argument_size_in_bytes", "temp_size_in_bytes", "output_size_in_bytes")
    return sum(int(getattr(memory, size, 0)) for size in sizes)


def _of_shapes(settings: Settings) -> str:
    """What shapes depend on."""
    plain = dataclasses.replace(settings, seed=0, probe=ProbeSettings(), train=TrainSettings())
    return repr(plain)


_SIZES: dict[str, Sizes] = {}
_NEEDS: dict[str, int] = {}
"""By settings: a run asks again, which a study has asked before."""


def _remembered[T](known: dict[str, T], asked: str, find: Callable[[], T]) -> T:
    if asked not in known:
        known[asked] = find()
    return known[asked]
