"""Which term of the inner loss makes its curvature: the Hessian of each apart, at the first step.

The loss of an actor-critic is a sum, and so is its Hessian. The terms are taken as they enter the
loss, with their weights. One compiled program serves all terms: which one is an argument of it.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner import linearised_step
from hessdiag.inner.edge import edge
from hessdiag.meta import System, sources, streams
from hessdiag.probes.also.base import Values
from hessdiag.probes.chunks import Progress, Tell
from hessdiag.probes.inner_loop.hessians import symmetric_runs
from hessdiag.probes.measured import Measured
from hessdiag.spectra.curvature import symmetric_on

TRACE_MATVECS = 48  # products behind the trace of a term's Hessian


class _Found(NamedTuple):
    """Of one unroll's first step, stacked over terms."""

    runs: spectra.LanczosDecomposition  # (terms, 2, starts): of the Hessian, and preconditioned
    traces: spectra.TraceEstimate
    limit: Float[Array, ""]  # the optimiser's edge
    rate: Float[Array, ""]  # α; NaN where there is none


class LossTerms:
    """Measures the terms on the first samples; the program is compiled at first use."""

    def __init__(self, measured: Measured):
        self._measured = measured
        self._krylov = {
            "max_matvecs": measured.settings.max_matvecs,
            "tolerance": measured.settings.tolerance,
            "check_every": 1,
        }
        self._decompose = jax.jit(measured.precisely(self._decomposed))
        self.units = min(measured.settings.operator_unrolls, measured.settings.unrolls)
        self.programs: list[tuple[Any, int]] = []  # it needs what that of Hessians needs

    @property
    def coords(self) -> Mapping[str, Any]:
        """The names of the terms, in their order."""
        return {"loss_term": self._names}

    @cached_property
    def _names(self) -> list[str]:
        return _names(self._measured.system)

    def lowered(self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray) -> Iterator[Lowered]:
        """What `measure` will run, to be compiled."""
        yield self._decompose.lower(state, keys[0], key)

    def measure(
        self, state: Any, keys: PRNGKeyArray, key: PRNGKeyArray, *, progress: Progress, tell: Tell
    ) -> Values:
        """Its variables, (unrolls, terms); none where no unroll has all operators."""
        del tell
        unrolls = []
        for k in range(self.units):
            found = self._decompose(state, keys[k], streams.numbered(key, k))
            unrolls.append(_values(jax.device_get(found)))
            progress(1)
        return {name: np.stack([of[name] for of in unrolls]) for name in (unrolls or [{}])[0]}

    def _decomposed(self, state: Any, sample: PRNGKeyArray, key: PRNGKeyArray) -> _Found:
        system, start = self._measured.system, self._measured.start(state, sample)
        params, eta = start.inner.params, start.eta
        first = sources(sample, 1).inner[0]
        _, trajectories = system.rollout(params, eta, start.env_state, first)
        step = linearised_step(system.update, start.inner, trajectories, eta)
        response, limit = edge(step)
        space, starts_and_trace = step.params, jax.random.split(key)
        shape = (self._measured.settings.starts, space.size)
        starts = jax.random.normal(starts_and_trace[0], shape, space.dtype)
        scales = jnp.stack([jnp.ones_like(response), jnp.sqrt(response)])

        def weighted(theta, weights):
            terms = system.inner_loss_terms(space.unravel(theta), eta, trajectories)
            return weights @ jnp.stack([*terms.values()])

        def of_term(weights):
            gradient = jax.grad(lambda theta: weighted(theta, weights))
            _, product = spectra.linearise(gradient, space.ravel(params))

            def scaled(scale):
                operator = symmetric_on(space, lambda v: scale * product(scale * v))
                return jax.lax.map(
                    lambda start: spectra.lanczos(operator, start, **self._krylov), starts
                )

            hessian, trace_key = symmetric_on(space, product), starts_and_trace[1]
            trace = spectra.sketched_trace(hessian, trace_key, num_matvecs=TRACE_MATVECS)
            return jax.lax.map(scaled, scales), trace

        count = len(jax.eval_shape(system.inner_loss_terms, params, eta, trajectories))
        runs, traces = jax.lax.map(of_term, jnp.eye(count, dtype=space.dtype))
        rate = jnp.nan if step.learning_rate is None else step.learning_rate
        return _Found(runs, traces, limit, jnp.asarray(rate))


def _names(system: System) -> list[str]:
    """Of the terms, in the order of the problem: those of pytrees are sorted."""
    names: list[str] = []

    def trace(key):
        eta = system.init_eta(key)
        params, env_state = system.problem.start(system.eta_space.unravel(eta), key)
        _, trajectories = system.rollout(params, eta, env_state, key)
        names.extend(system.inner_loss_terms(params, eta, trajectories))

    jax.eval_shape(trace, jax.random.key(0))
    return names


def _values(found: _Found) -> Values:
    """The variables of one unroll, on the host."""
    count, rate, limit = len(found.runs.alpha), float(found.rate), float(found.limit)
    ends = [
        [_ends(jax.tree.map(lambda leaf: leaf[i, s], found.runs)) for s in (0, 1)]  # noqa: B023
        for i in range(count)
    ]
    plain, scaled = zip(*ends, strict=True)
    share, half = trace_shares(np.asarray(found.traces.estimate), found.traces.half_width)
    return {
        "loss_term_lowest": rate * np.array([end.lowest for end in plain]),
        "loss_term_lowest_error": rate * np.array([end.lowest_error for end in plain]),
        "loss_term_highest": rate * np.array([end.highest for end in plain]),
        "loss_term_highest_error": rate * np.array([end.highest_error for end in plain]),
        "loss_term_edge_share": np.array([end.highest for end in scaled]) / limit,
        "loss_term_edge_share_error": np.array([end.highest_error for end in scaled]) / limit,
        "loss_term_trace_share": share,
        "loss_term_trace_share_error": half,
        "loss_term_matvecs": np.array([sum(end.matvecs for end in pair) for pair in ends])
        + np.asarray(found.traces.matvecs),
        "loss_term_converged": np.array([all(end.converged for end in pair) for pair in ends]),
    }


def _ends(runs: spectra.LanczosDecomposition) -> spectra.Extremes:
    return spectra.extremes(symmetric_runs(spectra.ritz_values_per_start, runs))


def trace_shares(
    traces: Float[np.ndarray, " terms"], halves: Float[np.ndarray, " terms"]
) -> tuple[Float[np.ndarray, " terms"], Float[np.ndarray, " terms"]]:
    """Each trace over their sum, and how far that may be off while all are in their intervals.

    A share t / (t + o), o the sum of the others, is monotone in each: its extremes are at the
    corners. Infinite where the sign of the sum is open.
    """
    others, others_half = np.sum(traces) - traces, np.sum(halves) - halves
    shares = traces / np.sum(traces)
    corners = [
        (traces + s * halves) / (traces + s * halves + others + r * others_half)
        for s in (-1, 1)
        for r in (-1, 1)
    ]
    is_known = np.abs(np.sum(traces)) > np.sum(halves)
    return shares, np.where(is_known, np.max(np.abs(corners - shares), axis=0), np.inf)
