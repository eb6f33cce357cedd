"""Every term of eq. 11 on the augmented state with dense matrices, and what cuts do to them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from hessdiag.inner import Cut, InnerState
from hessdiag.meta import point


def remembered(opt_state) -> list:
    """The floating-point leaves of an optimiser's state."""
    leaves = jax.tree.leaves(opt_state)
    return [leaf for leaf in leaves if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]


class DenseUnroll:
    """Dense derivatives of every inner update of a case, by forward mode on flat vectors."""

    def __init__(self, case):
        self.case = case
        theta, self.unravel = ravel_pytree(case.state.params)
        self.size = theta.size
        _, self.unravel_memory = ravel_pytree(remembered(case.state.opt_state))
        self.inner, self.outer = case.losses
        self.steps = [self._step(j) for j in range(len(case.points.states.step) - 1)]

    def _step(self, j):
        """(∂x'/∂x at fixed g, ∂x'/∂g, Jacobian of clipping, ∇²L, ∂g/∂η, α) of inner update j."""
        update, eta = self.case.update, self.case.eta
        state = point(self.case.points.states, j)
        leaves, structure = jax.tree.flatten(state.opt_state)
        floating = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

        def gradient(theta, eta):
            return jax.grad(lambda theta: self.inner(self.unravel(theta), eta, j))(theta)

        def after(theta, memory, g):
            held = iter(self.unravel_memory(memory))
            merged = [
                next(held) if moves else leaf for leaf, moves in zip(leaves, floating, strict=True)
            ]
            opt_state = jax.tree.unflatten(structure, merged)
            made = update.apply(
                InnerState(self.unravel(theta), opt_state, state.step), self.unravel(g)
            )
            return ravel_pytree((made.params, remembered(made.opt_state)))[0]

        theta = ravel_pytree(state.params)[0]
        memory = ravel_pytree(remembered(state.opt_state))[0]
        g = gradient(theta, eta)
        by_theta, by_memory, by_gradient = jax.jacfwd(after, argnums=(0, 1, 2))(theta, memory, g)
        clip = jax.jacfwd(lambda g: ravel_pytree(update.clipped(self.unravel(g)))[0])(g)
        hessian, mixed = jax.jacfwd(gradient, argnums=(0, 1))(theta, eta)
        at_rest = np.concatenate([by_theta, by_memory], axis=1)
        return tuple(
            np.asarray(part)
            for part in (at_rest, by_gradient, clip, hessian, mixed, update.rate(0))
        )

    def outer_gradient(self, horizon: int) -> np.ndarray:
        """T^(i), padded with zeros for the optimiser's state."""
        params = point(self.case.points.states, horizon).params
        gradient = jax.grad(lambda params: self.outer(params, horizon))(params)
        flat = np.asarray(ravel_pytree(gradient)[0])
        return np.pad(flat, (0, len(self.steps[0][0]) - self.size))

    def terms(self, horizon: int, cut: Cut) -> np.ndarray:
        """(horizon, m): what each inner update contributes to the meta-gradient."""
        rows = self.rows(horizon, cut)
        return np.stack([row @ self.steps[j][4] for j, row in enumerate(rows)])

    def rows(self, horizon: int, cut: Cut) -> np.ndarray:
        """(horizon, d): T^(i) ∂θ^(i)/∂g^(j) for every inner update."""
        row = self.outer_gradient(horizon)
        rows = []
        for j in reversed(range(horizon)):
            jacobian, by_gradient = self._along(cut, *self.steps[j])
            rows.append(row @ by_gradient)
            row = row @ jacobian
        return np.stack(rows[::-1])

    def _moment(self, which: str) -> np.ndarray:
        """Which entries of the memory belong to a moment, from what the optimisers here keep."""
        state = self.case.state.opt_state[0]
        fields = {"first": ("mu", "trace"), "second": ("nu",)}[which]
        marked = {
            name: jax.tree.map(lambda leaf, name=name: jnp.full(leaf.shape, name in fields), value)
            for name, value in getattr(state, "_asdict", dict)().items()
            if name != "count"
        }
        return np.asarray(ravel_pytree(list(marked.values()))[0], bool)

    def _along(self, cut: Cut, at_rest, by_gradient, clip, hessian, _mixed, alpha):
        """A_j and the response to the gradient, with what is cut set to zero, block by block."""
        d, size = self.size, len(at_rest)
        if cut.inside is not None:
            values, vectors = np.linalg.eigh(hessian)
            low, high = cut.inside
            kept = (-alpha * values >= low) & (-alpha * values <= high)
            hessian = (vectors * np.where(kept, values, 0.0)) @ vectors.T
        if cut.as_sgd:
            by_gradient = np.zeros_like(by_gradient)
            by_gradient[:d] = -alpha * clip
            at_rest = np.eye(size)
        jacobian = at_rest.copy()
        if cut.hessian:
            jacobian[:, :d] += by_gradient @ hessian
        if not cut.memory or cut.as_sgd:
            jacobian[:, d:] = 0.0
        if cut.still is not None:
            jacobian[:, d:][:, self._moment(cut.still)] = 0.0
        if cut.trace is not None:
            jacobian = np.zeros_like(at_rest)
            jacobian[:d, :d] = cut.trace * np.eye(d)
        return jacobian, by_gradient
