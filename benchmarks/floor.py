"""The arithmetic floor: the matrix products of the definition, at the speed measured for them.

Convolutions count as patches times matrix, without the making of patches; nothing but products
counts. What is recomputed, copied, pooled or stepped by the environment is overhead over the floor.
Minimal filtering needs fewer multiplications than the definition has, so that a ratio below one is
possible.
"""

import jax
import jax.numpy as jnp

from benchmarks.timing import medians

LOOPS = 10
Product = tuple[int, int, int]  # (rows, inner, columns)


def layers(num: int, board: int = 12) -> list[tuple[Product, bool]]:
    """The products of one forward pass over `num` boards; whether the input needs a gradient."""
    half = board // 2
    return [
        ((num * board**2, 45, 32), False),
        ((num * half**2, 288, 32), True),
        ((num, 32 * (half // 2) ** 2, 40), True),
        ((num, 40, 60), True),
    ]


def floor_seconds(
    n: int, *, board: int = 12, batch: int = 32, length: int = 20, repeats: int = 15
) -> float:
    """Seconds of the products of one n-step meta-gradient by a reverse sweep.

    n + 1 rollouts, n inner gradients and one outer one, and n products with second derivatives.
    Where n = 0 they are one rollout and one gradient: a training iteration with η as it is.
    """
    acting, learning = layers(batch, board), layers(batch * (length + 1), board)
    rate = _product_seconds(acting, learning, repeats)
    gradient, second = _derivatives(learning, rate)
    play = length * sum(rate["forward", shape] for shape, _ in acting)
    return (n + 1) * play + (n + 1) * gradient + n * second


def hessian_floor_seconds(*, observations: int = 672, repeats: int = 15) -> float:
    """Seconds of the products of one Hessian-vector product whose linearisation is there."""
    learning = layers(observations)
    return _derivatives(learning, _product_seconds([], learning, repeats))[1]


def _derivatives(learning, rate: dict[tuple[str, Product], float]) -> tuple[float, float]:
    """Seconds of a gradient, and of a product with second derivatives.

    The latter has every product of a gradient twice, but for those of the first layer: the
    observations have no tangent.
    """
    forward = sum(rate["forward", shape] for shape, _ in learning)
    weights = sum(rate["weights", shape] for shape, _ in learning)
    inputs = sum(rate["inputs", shape] for shape, needed in learning if needed)
    gradient = forward + weights + inputs
    first = learning[0][0]
    return gradient, 2 * gradient - rate["forward", first] - rate["weights", first]


def _product_seconds(acting, learning, repeats: int) -> dict[tuple[str, Product], float]:
    """Median seconds of each product: forward, for the weights, for the inputs."""
    calls, timed = {}, {}
    for shape, _ in [*acting, *learning]:
        rows, inner, columns = shape
        x, w, g = (
            jax.random.normal(jax.random.key(k), dims)
            for k, dims in enumerate([(rows, inner), (inner, columns), (rows, columns)])
        )
        for name, function, operands in (
            ("forward", lambda a, b: a @ b, (x, w)),
            ("weights", lambda a, b: a.T @ b, (x, g)),
            ("inputs", lambda a, b: a @ b.T, (g, w)),
        ):
            operands = (*operands, jnp.int32(LOOPS))
            calls[name, shape] = _looped(function).lower(*operands).compile(), operands
    for key, (call, operands) in calls.items():
        timed[str(key)] = lambda call=call, operands=operands: call(*operands)
    seconds = medians(timed, repeats=repeats)
    return {key: seconds[str(key)] / LOOPS for key in calls}


def _looped(product):
    """The product many times in one program, so that neither dispatch nor page faults count."""

    def loop(a, b, times):  # a traced number of times, so that the loop is not unrolled
        def body(i, _):
            held, other, _ = jax.lax.optimization_barrier((a, b, i))  # or it is done once
            return product(held, other)

        return jax.lax.fori_loop(0, times, body, jnp.zeros_like(product(a, b)))

    return jax.jit(loop)
