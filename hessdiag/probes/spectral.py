"""Spectra of the inner updates along unrolls, on those unrolls' trajectories."""

from collections.abc import Callable

import jax
from jaxtyping import PRNGKeyArray

from hessdiag.inner import InnerUpdate
from hessdiag.inner.linearised import linearised_step
from hessdiag.meta import Unroll, unroll
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings, InnerLoopSpectra
from hessdiag.train.learner import TrainState
from hessdiag.train.settings import ProbeSettings


class SpectralProbe:
    """Measures spectra; the programs serve every inner step, unroll and probe."""

    def __init__(self, update: InnerUpdate, settings: ProbeSettings, *, n: int):
        self._update = update
        self._n = n
        self._unrolls = settings.unrolls
        self._operator_unrolls = settings.operator_unrolls
        self._unroll = jax.jit(self._look_ahead)
        everything = InnerLoopSettings(
            operators=settings.operators,
            products=settings.products,
            paths=settings.products and bool(settings.counterfactuals),
            starts=settings.starts,
            min_matvecs=settings.min_matvecs,
            max_matvecs=settings.max_matvecs,
            tolerance=settings.tolerance,
            departure_probes=settings.departure_probes,
        )
        moving = "semi-gradient" in settings.operators
        self._loop = InnerLoop(
            lambda point: linearised_step(update, *point, semi_gradient=moving), everything
        )
        self._hessians = self._loop.of_hessians_alone()

    @property
    def units(self) -> int:
        """Calls of `progress` in one measurement."""
        return sum(self._which(k).units(self._n) for k in range(self._unrolls))

    def measure(
        self,
        state: TrainState,
        keys: PRNGKeyArray,
        lanczos_key: PRNGKeyArray,
        *,
        progress: Callable[[], None],
    ) -> list[InnerLoopSpectra]:
        """Spectra on the unrolls with the given keys.

        Args:
            state: the training state.
            keys: keys of the unrolls, the same as the meta-gradients' of those samples.
            lanczos_key: randomness of start vectors and probes.
            progress: called after each spectrum.

        Returns:
            For every unroll; the first `operator_unrolls` have all operators, the others Hessians.
        """
        measured = []
        for k, unroll_key in enumerate(keys):
            points = self._unroll(state, unroll_key)
            states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
            etas = jax.numpy.broadcast_to(state.eta, (self._n, *state.eta.shape))
            measured.append(
                self._which(k).measure(
                    (states, etas, points.trajectories),
                    jax.random.fold_in(lanczos_key, k),
                    progress=progress,
                )
            )
        return measured

    def _which(self, k: int) -> InnerLoop:
        return self._loop if k < self._operator_unrolls else self._hessians

    def _look_ahead(self, state: TrainState, key: PRNGKeyArray) -> Unroll:
        return unroll(self._update, state.start, key, n=self._n)
