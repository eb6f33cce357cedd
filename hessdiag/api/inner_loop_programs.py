"""The compiled programs behind the spectra along one inner loop."""

import dataclasses

import jax

from hessdiag import spectra
from hessdiag.api.kept import kept
from hessdiag.inner import InnerState, InnerUpdate, linearised_step
from hessdiag.inner.update import LossWithoutEta
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings


class InnerLoopPrograms:
    """One inner loop's run and measurement, compiled at first use.

    States, batches and keys are arguments; the update and what is measured are not.

    Args:
        update: The inner update.
        chunk_size: Examples per chunk of its loss, or None.
        settings: What is measured.

    Attributes:
        repeats: (state, batch) -> whether gradient and update are the same each time.
        points: (state, stacked batches) -> the points of the inner steps, for `loop`.
        loop: Measures them.
    """

    def __init__(self, update: InnerUpdate, chunk_size: int | None, settings: InnerLoopSettings):
        if chunk_size is not None:
            assert isinstance(update.loss, LossWithoutEta)
            chunked = LossWithoutEta(spectra.chunked(update.loss.loss, chunk_size))
            update = dataclasses.replace(update, loss=chunked)
        self.repeats = spectra.repeat_check(
            lambda state, batch: (update.gradient(state[0], None, batch), update(state, batch))
        )
        self.points = jax.jit(lambda state, batches: _points(update, state, batches))
        self.loop = InnerLoop(lambda point: linearised_step(update, *point), settings)


@kept
def inner_loop_programs(
    update: InnerUpdate, chunk_size: int | None, settings: InnerLoopSettings
) -> InnerLoopPrograms:
    """The programs of these arguments, see `InnerLoopPrograms`, or those kept of them."""
    return InnerLoopPrograms(update, chunk_size, settings)


def _points(update: InnerUpdate, state, batches):
    def step(state, batch):
        return update(state, batch), state

    _, states = jax.lax.scan(step, InnerState(*state), batches)
    return states, batches
