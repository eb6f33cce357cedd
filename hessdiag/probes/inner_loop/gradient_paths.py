"""What the updates of an inner loop make of a change of one inner gradient, and its norm.

On the augmented state a term of eq. 11 is T P_i N_i with N_i the derivative of (theta, s) in eta.
N_i splits into the derivative of the inner gradient g in eta and the optimiser's response to g, and
the response taken into P_i leaves G = d theta^(n) / d g^(j): no unit of the optimiser's memory
enters its norm. Under gradient descent G is -alpha P_i, and everything is as eq. 11 is printed.

Under Adam the norm is that of the parameters with the smallest gradients, alpha (1 - beta_1) / eps
and more for those of dead units, though no term uses them: it is the most that G does to anything.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from hessdiag.inner.products import step_at
from hessdiag.inner.step import InnerStep
from hessdiag.meta import streams
from hessdiag.probes.inner_loop.measured import PathNorm
from hessdiag.probes.inner_loop.settings import InnerLoopSettings
from hessdiag.spectra.gram import gram, operator_norm
from hessdiag.spectra.lanczos import lanczos
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.ritz import extremes, ritz_values


def gradient_path(steps: InnerStep, j: Int[Array, ""] | int) -> Operator:
    """The derivative of the last theta in the gradient of inner step j, memory included.

    Works under jit, with any j.

    Args:
        steps: Linearised inner steps, stacked.
        j: The inner step whose gradient changes.

    Returns:
        G, from changes of g^(j) to changes of theta^(n); clipping included.
    """
    n, size = len(steps.gradient), steps.params.size

    def forward(v):
        start = step_at(steps, j).response.product(v)
        after = jax.lax.fori_loop(
            j + 1, n, lambda k, x: step_at(steps, k).augmented.product(x), start
        )
        return after[:size]

    def backward(u):
        end = jnp.zeros(size + steps.memory.size, u.dtype).at[:size].set(u)
        before = jax.lax.fori_loop(
            j + 1, n, lambda k, y: step_at(steps, n + j - k).augmented.T.product(y), end
        )
        return step_at(steps, j).response.T.product(before)

    return Operator(forward, backward, steps.params, steps.params)


class GradientPaths:
    """Measures the norms of the paths; one compiled program serves all inner steps."""

    def __init__(self, settings: InnerLoopSettings):
        self._settings = settings
        self._decompose = jax.jit(self._decomposed)

    def measure(
        self, steps: InnerStep, key: Key[Array, ""], progress: Callable[[], None]
    ) -> list[PathNorm]:
        """The norm of G for every inner step, the oldest first.

        Args:
            steps: Linearised inner steps, stacked.
            key: Randomness of start vectors.
            progress: Called after each norm.
        """
        norms = []
        for j in range(len(steps.gradient)):
            decomposition = self._decompose(steps, j, streams.numbered(key, j))
            run = ritz_values(decomposition, rounds=np.inf)  # whatever the memory's units are
            norms.append(PathNorm(*operator_norm(extremes([run])), run.matvecs, run.converged))
            progress()
        return norms

    def _decomposed(self, steps: InnerStep, j: Int[Array, ""], key: Key[Array, ""]):
        start = jax.random.normal(key, steps.gradient[0].shape, steps.gradient.dtype)
        return lanczos(
            gram(gradient_path(steps, j)),
            start,
            max_matvecs=self._settings.max_matvecs,
            tolerance=self._settings.tolerance,
            ends="highest",
            check_every=1,
        )
