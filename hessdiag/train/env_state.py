"""The environment's state in dtypes that stay, so that a saved one goes on as if nothing had been.

Of Python's numbers JAX remembers that they give way to the dtypes of others; files do not.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hessdiag.errors import UsageError

_ROUNDS = 4  # of promotion: int32 -> float32 -> float64 takes two


def firm(tree: Any) -> Any:
    """The pytree of arrays, none of which gives way to another's dtype any longer."""

    def convert(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        is_plain = not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
        return jax.lax.convert_element_type(leaf, leaf.dtype) if is_plain else leaf

    return jax.tree.map(convert, tree)


def settled(after: Callable[[Any], Any], env_state: Any, name: str) -> Any:
    """An environment state that keeps its dtypes through rollouts.

    Numbers that were Python's take the dtype that a rollout gives them.

    Args:
        after: environment state -> the one that a rollout returns; traced, not run.
        env_state: of `Problem.start`.
        name: of the problem, for messages.

    Raises:
        UsageError: a rollout returns another structure, other shapes or other dtypes.
    """
    yields = [getattr(leaf, "weak_type", True) for leaf in jax.tree.leaves(env_state)]
    state = firm(env_state)
    for _ in range(_ROUNDS):
        leaves, structure = jax.tree.flatten(state)
        found, structure_after = jax.tree.flatten(jax.eval_shape(after, state))
        if structure_after != structure:
            raise UsageError(
                f"--env: rollout of {name!r} returns an environment state of another structure "
                f"({structure_after}) than it gets ({structure}); allowed: the same"
            )
        pairs = list(zip(leaves, found, yields, strict=True))
        state = structure.unflatten(
            [
                leaf.astype(new.dtype) if gives_way and leaf.dtype != new.dtype else leaf
                for leaf, new, gives_way in pairs
            ]
        )
        if all(_type(leaf) == _type(new) for leaf, new, _ in pairs):
            return state
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    apart = [
        f"{path or 'it'} is {_type(leaf)} before and {_type(new)} after"
        for path, (leaf, new, _) in zip(paths, pairs, strict=True)
        if _type(leaf) != _type(new)
    ]
    raise UsageError(
        f"--env: rollout of {name!r} changes the kind of the environment state: {apart[0]}; "
        "allowed: the same shapes and dtypes, such as start returns them"
    )


def _type(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"
