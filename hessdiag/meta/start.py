"""Where unrolls start."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import Cotangent, Eta, InnerState, held_memory
from hessdiag.meta.system import System
from hessdiag.spectra import Space, linearise


class Start(NamedTuple):
    """What is known at iteration t, before anything is drawn."""

    inner: InnerState  # x^(0)
    eta: Eta  # η_t, frozen through an unroll
    env_state: Any  # the environments' state, which every rollout continues
    from_eta: Any = None  # tangents of η → tangents of x^(0) as one vector; None: no such path


def again(system: System, eta: Eta, key: PRNGKeyArray) -> Start:
    """A start of its own, as in MAML: the parameters may depend on η, and so does the unroll.

    Args:
        system: the problem and its inner update.
        eta: η_t.
        key: randomness of the parameters and environments.
    """

    def begin(eta):
        params, env_state = system.problem.start(system.eta_space.unravel(eta), key)
        state = system.update.init(params)
        space = Space.like(params)
        flat = space.ravel(params), held_memory(state.opt_state, space.dtype)[0].flat
        return Cotangent(*flat), (state, env_state)

    _, (state, env_state) = begin(eta)
    _, from_eta = linearise(lambda eta: begin(eta)[0], eta)
    return Start(state, eta, env_state, from_eta)


def to_eta(start: Start, cotangent: Cotangent) -> Float[Array, " m"] | float:
    """What a cotangent of x^(0) is of η: zero where the start does not depend on it."""
    if start.from_eta is None:
        return 0.0
    return jax.linear_transpose(start.from_eta, start.eta)(cotangent)[0]


def flat_zero(start: Start) -> Cotangent:
    """The zero cotangent of x."""
    space = Space.like(start.inner.params)
    memory, _ = held_memory(start.inner.opt_state, space.dtype)
    return Cotangent(jnp.zeros(space.size, space.dtype), jnp.zeros_like(memory.flat))
