"""What `Probe` is given, refused in one line where it cannot be measured."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.api.arguments import shown
from hessdiag.api.loop_problem import LoopProblem, Sampler, from_batches
from hessdiag.errors import UsageError
from hessdiag.inner.extras import Optimiser

_SIGNATURES = {
    "inner_loss": "(params, eta, batch) → scalar",
    "outer_loss": "(params, eta, batch) → scalar",
    "rollout": "(params, eta, env_state, key) → (env_state, batch)",
    "batches": "key → batch",
    "validation": "key → batch",
    "clip": "gradient → gradient; optax's go into the optimiser: optax.chain(clip, optimiser)",
}


def require_functions(**given: Any) -> None:
    """Functions, by the names of `Probe`'s arguments."""
    for name, value in given.items():
        if not callable(value):
            _refuse(name, value, f"a function {_SIGNATURES[name]}")


def require_optional(**given: Any) -> None:
    """The same of those that may be None."""
    require_functions(**{name: value for name, value in given.items() if value is not None})


def require_measure(measure: Mapping[str, Any]) -> None:
    """Settings of probes that a loop has, too."""
    for name in ("at", "points"):
        if name in measure:
            raise UsageError(
                f"{name}: a loop is measured where it calls the probe; allowed: every="
            )
    if "semi-gradient" in measure.get("operators", ()):
        raise UsageError(
            "operators: semi-gradient is of problems with inner_loss_with_targets, which a loop "
            "has not; allowed: paper, preconditioned, update, augmented"
        )
    if "loss-terms" in measure.get("also", ()):
        raise UsageError(
            "also: loss-terms is of problems with inner_loss_terms, which a loop has not; "
            "allowed: the others"
        )


def require_optimiser(optimiser: Any) -> None:
    """A transformation, or a function."""
    if not (isinstance(optimiser, Optimiser) or callable(optimiser)):
        _refuse("optimiser", optimiser, "an optax transformation, or η → one")


def learned_optimiser(optimiser: Callable[[Any], Any], eta: Any) -> Optimiser:
    """The optimiser that a function makes of η."""
    allowed = "an optax transformation, such as optax.adam(1e-3), or η → one"
    try:
        made = optimiser(eta)
    except Exception as error:  # whatever a user's function may raise
        raise UsageError(
            f"optimiser: failed with η ({_said(error)}); allowed: {allowed}"
        ) from error
    if not isinstance(made, Optimiser):
        _refuse("optimiser", made, allowed)
    return made


def require_number(name: str, value: Any, *, least: float, below: float = np.inf) -> None:
    """A number in a range, or None."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if value is not None and not (is_number and least <= value < below):
        upper = "" if below == np.inf else f" to below {below:g}"
        _refuse(name, value, f"{least:g}{upper or ' or more'}, or None")


def require_rate(rate: Any) -> None:
    """A number or a schedule."""
    is_number = isinstance(rate, int | float | np.number | jax.Array) and jnp.ndim(rate) == 0
    if not (callable(rate) or is_number):
        _refuse("learning_rate", rate, "a number or a schedule")


def require_whole(name: str, value: Any, least: int) -> None:
    """An integer that is at least so large."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        _refuse(name, value, f"{least} or more")


def sampler(rollout: Sampler | None, batches: Callable[[Any], Any] | None) -> Sampler:
    """What samples for the inner updates: exactly one of the two is given."""
    if rollout is not None and batches is None:
        return rollout
    if batches is not None and rollout is None:
        return from_batches(batches)
    raise UsageError("rollout, batches: one of the two is needed; allowed: a function")


def require_floats(params: Any, eta: Any, floats: Any) -> None:
    """Parameters with a floating array among them, and meta-parameters that all are."""
    if not jax.tree.leaves(floats):
        _refuse("params", params, "a pytree with floating arrays")
    for path, leaf in jax.tree_util.tree_leaves_with_path(eta):
        dtype = getattr(leaf, "dtype", None)
        is_float = isinstance(leaf, float) or (dtype and jnp.issubdtype(dtype, jnp.floating))
        if not is_float:
            place = jax.tree_util.keystr(path, simple=True, separator=".")
            kind = type(leaf).__name__ if dtype is None else dtype
            raise UsageError(f"eta: {place or 'it'} is {kind}; allowed: a pytree of floats")


def require_state_of(optimiser: Any, floats: Any, opt_state: Any) -> None:
    """An optimiser state that is of these parameters."""

    def form(tree: Any) -> Any:
        return jax.tree.structure(tree), [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]

    if form(jax.eval_shape(optimiser.init, floats)) != form(opt_state):
        raise UsageError(
            "opt_state: it is of other parameters or of another optimiser; allowed: what "
            "optimiser.init(hessdiag.trainable(params)) gives, and what follows from it"
        )


def require_loop_runs(problem: LoopProblem, floats: Any, eta: Any, env_state: Any) -> None:
    """Functions that fit together: traced once, and not run."""
    key = jax.random.key(0)

    def traced(name: str, function: Callable[..., Any], *operands: Any) -> Any:
        try:
            return jax.eval_shape(function, *operands)
        except Exception as error:  # whatever a user's function may raise
            allowed = _SIGNATURES.get(name, "")
            raise UsageError(f"{name}: failed ({_said(error)}); allowed: {allowed}") from error

    for sample, loss in (("rollout", "inner_loss"), ("validation_rollout", "outer_loss")):
        found = traced("rollout", getattr(problem, sample), floats, eta, env_state, key)
        if not (isinstance(found, tuple) and len(found) == 2):
            _refuse("rollout", found, f"a function {_SIGNATURES['rollout']}")
        value = traced(loss, getattr(problem, loss), floats, eta, found[1])
        leaves = jax.tree.leaves(value)
        is_bare = jax.tree.structure(value) == jax.tree.structure(0)
        if not is_bare or value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
            given = ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves)
            raise UsageError(f"{loss}: it gives {given or 'nothing'}; allowed: a real scalar")


def _refuse(name: str, value: Any, allowed: str) -> NoReturn:
    raise UsageError(f"{name}: {shown(value)} is not allowed; allowed: {allowed}")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
