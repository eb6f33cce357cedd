"""Jumanji's Snake, batched, and what networks see of it."""

from typing import TYPE_CHECKING

import jax
from jaxtyping import Array

if TYPE_CHECKING:
    from jumanji.wrappers import VmapAutoResetWrapper


def snake_environment(rows: int, cols: int, time_limit: int) -> "VmapAutoResetWrapper":
    """Jumanji's environment, batched, resetting by itself."""
    # All its games come with it, and their viewers: whoever plays none does not wait for them.
    # Its modules make arrays as they are imported, which must be no tracers, nor of two widths.
    with jax.ensure_compile_time_eval(), jax.enable_x64(False):
        from jumanji.environments.routing.snake.env import Snake
        from jumanji.wrappers import VmapAutoResetWrapper

    with jax.ensure_compile_time_eval():  # its specs branch on array values
        return VmapAutoResetWrapper(Snake(rows, cols, time_limit))


def grid(observation) -> Array:
    """The five feature maps of Jumanji's observation."""
    return observation.grid
