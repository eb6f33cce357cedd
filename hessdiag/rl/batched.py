"""Batches of environments of other libraries, all played by the same two functions.

Jumanji's are batched and reset by its own wrapper; gymnax's by the one below. A batch comes with
how many actions there are and with the array that a policy sees. What has no finite set of actions,
or several players, is refused.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hessdiag.errors import UsageError

MASK = "action_mask"  # what Jumanji's observations call the moves that are allowed


class Batch(NamedTuple):
    """A batch of environments."""

    environment: Any  # reset(keys) and step(state, actions), both giving (state, `Step`)
    actions: int  # how many there are
    observe: Callable[[Any], Float[Array, "B ..."]]  # observation → what a policy sees


class Step(NamedTuple):
    """What a step gives, as Jumanji calls it."""

    observation: Any
    reward: Float[Array, " B"]
    discount: Float[Array, " B"]  # 0 where an episode ended

    def last(self) -> Bool[Array, " B"]:
        """Where an episode ended."""
        return self.discount == 0


def jumanji_batch(name: str) -> Batch:
    """An environment of Jumanji, by its registered name, such as "Maze-v0".

    Raises:
        UsageError: there is none of that name, or a single agent does not play it with a finite
            set of actions.
    """
    # Its modules make arrays as they are imported, which must be no tracers, nor of two widths.
    with jax.ensure_compile_time_eval(), jax.enable_x64(False):
        jumanji = import_module("jumanji")
        wrappers, specs = import_module("jumanji.wrappers"), import_module("jumanji.specs")
    known = sorted(jumanji.registered_environments())
    if name not in known:
        raise _unknown("jumanji", name, known)
    with jax.ensure_compile_time_eval():  # specs branch on array values
        try:
            made = jumanji.make(name)
            spec, batched = made.action_spec, wrappers.VmapAutoResetWrapper(made)
        except Exception as error:  # some fetch their levels from elsewhere
            raise _failed("jumanji", name, error) from error
    if not isinstance(spec, specs.DiscreteArray):
        raise _refused("jumanji", name, f"its actions are a {type(spec).__name__}")
    return Batch(batched, int(spec.num_values), _seen)


def gymnax_batch(name: str) -> Batch:
    """An environment of gymnax, by its registered name, such as "Breakout-MinAtar".

    Raises:
        UsageError: gymnax is not installed, there is none of that name, or its actions are no
            finite set.
    """
    try:
        with jax.ensure_compile_time_eval(), jax.enable_x64(False):
            gymnax = import_module("gymnax")
            spaces = import_module("gymnax.environments.spaces")
    except ImportError as error:
        raise UsageError(
            f"--env: 'gymnax:{name}' needs gymnax, which is not installed; allowed: after "
            "pip install 'hessdiag[gymnax]'"
        ) from error
    if name not in gymnax.registered_envs:
        raise _unknown("gymnax", name, sorted(gymnax.registered_envs))
    with jax.ensure_compile_time_eval():
        try:
            made, params = gymnax.make(name)
            space = made.action_space(params)
        except Exception as error:  # some fetch their data from elsewhere
            raise _failed("gymnax", name, error) from error
    if not isinstance(space, spaces.Discrete):
        raise _refused("gymnax", name, f"its actions are a {type(space).__name__}")
    return Batch(_Gymnax(made, params), int(space.n), _seen)


class _Gymnax:
    """Batched, resetting by itself; a state holds the key of what comes next."""

    def __init__(self, environment: Any, params: Any):
        self._environment, self._params = environment, params

    def reset(self, keys: Array) -> tuple[Any, Step]:
        first, later = self._two(jax.random.wrap_key_data(keys))
        begin = jax.vmap(self._environment.reset, in_axes=(0, None))
        with _quiet():
            seen, state = begin(first, self._params)
        still = jnp.zeros(len(keys))
        return (state, later), Step(seen, still, still + 1)

    def step(self, state: Any, actions: Array) -> tuple[Any, Step]:
        inside, keys = state
        now, later = self._two(keys)
        played = jax.vmap(self._environment.step, in_axes=(0, 0, 0, None))
        with _quiet():
            seen, inside, reward, done, _ = played(now, inside, actions, self._params)
        return (inside, later), Step(seen, jnp.asarray(reward, float), 1.0 - done)

    @staticmethod
    def _two(keys: Array) -> tuple[Array, Array]:
        pairs = jax.vmap(jax.random.split)(keys)
        return pairs[:, 0], pairs[:, 1]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of the future: that games mix types is not for their players to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _seen(observation: Any) -> Float[Array, "B ..."]:
    """The board of an observation, if it has one with a last axis; else all its numbers in a row.

    The mask of actions is left out. Integers, some of which count steps, come as sign(x) log(1 +
    |x|): ours.
    """
    named = observation._asdict() if hasattr(observation, "_asdict") else {"": observation}
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves({**named, MASK: ()})]
    boards = [leaf for leaf in leaves if leaf.ndim == 4]
    if boards:
        return boards[0].astype(float)
    return jnp.concatenate([_in_a_row(leaf) for leaf in leaves], axis=1)


def _in_a_row(leaf: Array) -> Float[Array, "B D"]:
    flat = leaf.reshape(len(leaf), -1).astype(float)
    is_integer = jnp.issubdtype(leaf.dtype, jnp.integer)
    return jnp.sign(flat) * jnp.log1p(jnp.abs(flat)) if is_integer else flat


def _unknown(library: str, name: str, known: list[str]) -> UsageError:
    return UsageError(f"--env: {library} has no {name!r}; allowed: {', '.join(known)}")


def _refused(library: str, name: str, why: str) -> UsageError:
    return UsageError(
        f"--env: '{library}:{name}' is not allowed, {why}; allowed: one agent with one action out "
        "of finitely many"
    )


def _failed(library: str, name: str, error: Exception) -> UsageError:
    said = " ".join(str(error).split())[:200]
    return UsageError(
        f"--env: '{library}:{name}' could not be made ({type(error).__name__}: {said}); allowed: "
        "environments that need nothing from elsewhere"
    )
