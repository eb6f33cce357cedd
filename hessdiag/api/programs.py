"""The programs of an inner loop, compiled at first use, kept from one call to the next.

Whatever is a number, parameters, batches and keys, is an argument of a program: a loss is traced
again only where shapes, dtypes or structures change.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable

import jax

from hessdiag import spectra
from hessdiag.api.chunks import in_chunks, values_in_chunks
from hessdiag.api.loop_arguments import acceptance
from hessdiag.inner import InnerState, InnerUpdate, linearised_step
from hessdiag.inner.update import LossWithoutEta
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings

NUM_KEPT = 4
"""Programs kept of each kind: enough to take turns with a few operators of one loss.

Few, for as long as a program is kept, so is all that its loss closes over, and its constants.
"""


def kept[Made](make: Callable[..., Made]) -> Callable[..., Made]:
    """The same function of positional arguments, which remembers what it made of the last ones.

    Equal arguments are the same. Where one cannot be hashed, such as a callable that holds arrays,
    all is made anew at each call.
    """
    remembered = functools.lru_cache(maxsize=NUM_KEPT)(make)

    @functools.wraps(make, updated=())
    def make_or_remember(*arguments: Hashable) -> Made:
        try:
            hash(arguments)
        except TypeError:
            return make(*arguments)
        return remembered(*arguments)

    return make_or_remember


class InnerLoopPrograms:
    """One inner loop's run and measurement, inside programs.

    Attributes:
        accepts: (params, batch) -> why the loss does not take the batch; None where it does.
        values: (params, batch) -> the loss in chunks of this and of another size; [] without.
        repeats: (state, batch) -> whether gradient and update are the same each time.
        points: (state, stacked batches) -> the points of the inner steps, for `loop`.
        loop: Measures them.
    """

    def __init__(self, update: InnerUpdate, chunk_size: int | None, settings: InnerLoopSettings):
        whole = update.loss

        def loss(params, batch):
            return whole(params, None, batch)

        self.accepts = acceptance(loss)
        self.values = lambda *_: []
        if chunk_size is not None:
            self.values = jax.jit(functools.partial(values_in_chunks, loss, chunk_size))
            assert isinstance(update.loss, LossWithoutEta)
            chunked = LossWithoutEta(in_chunks(update.loss.loss, chunk_size))
            update = dataclasses.replace(update, loss=chunked)
        self.repeats = spectra.repeat_check(
            lambda state, batch: (update.gradient(state[0], None, batch), update(state, batch))
        )
        self.points = jax.jit(lambda state, batches: _points(update, state, batches))
        self.loop = InnerLoop(lambda point: linearised_step(update, *point), settings)


inner_loop_programs = kept(InnerLoopPrograms)


def _points(update: InnerUpdate, state, batches):
    def step(state, batch):
        return update(state, batch), state

    _, states = jax.lax.scan(step, InnerState(*state), batches)
    return states, batches
