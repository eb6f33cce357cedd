"""The compiled programs behind the spectra along one inner loop."""

import dataclasses

import jax
import jax.numpy as jnp

from hessdiag import spectra
from hessdiag.api.kept import kept
from hessdiag.api.optax_update import OptaxUpdate
from hessdiag.inner import InnerStep, inner_step
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

    def __init__(self, update: OptaxUpdate, chunk_size: int | None, settings: InnerLoopSettings):
        if chunk_size is not None:
            update = dataclasses.replace(update, loss=spectra.chunked(update.loss, chunk_size))
        self.repeats = spectra.repeat_check(
            lambda state, batch: (jax.grad(update.loss)(state[0], batch), update(state, batch))
        )
        self.points = jax.jit(lambda state, batches: _points(update, state, batches))
        self.loop = InnerLoop(lambda point: _linearised(update, *point), settings)


@kept
def inner_loop_programs(
    update: OptaxUpdate, chunk_size: int | None, settings: InnerLoopSettings
) -> InnerLoopPrograms:
    """The programs of these arguments, see `InnerLoopPrograms`, or those kept of them."""
    return InnerLoopPrograms(update, chunk_size, settings)


def _points(update: OptaxUpdate, state, batches):
    def step(state, batch):
        return update(state, batch), state

    _, states = jax.lax.scan(step, state, batches)
    return states, batches, jnp.arange(len(jax.tree.leaves(batches)[0]))


def _linearised(update: OptaxUpdate, state, batch, step) -> InnerStep:
    params, opt_state = state
    return inner_step(
        lambda p: update.loss(p, batch),
        update.optimiser.update,
        params,
        opt_state,
        clip=update.clip,
        learning_rate=update.rate(step),
    )
