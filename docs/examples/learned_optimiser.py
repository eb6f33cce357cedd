"""A learned optimiser: η are the weights of a small network that turns gradients into updates.

It is applied to every parameter alone, and sees the gradient and an average of the last ones. The
optimiser is a function of η, so that meta-gradients have the path through the update itself.
"""

import jax
import jax.numpy as jnp
import optax

import hessdiag

RATE, DECAY, HIDDEN = 0.05, 0.9, 8


def learned(eta):
    """The optimiser that has these weights."""

    def init(params):
        return jax.tree.map(jnp.zeros_like, params)

    def rule(gradient, average):
        seen = jnp.stack([gradient, average], -1)
        hidden = jnp.tanh(seen @ eta["in"])
        return -RATE * (average + (hidden @ eta["out"])[..., 0])

    def update(gradients, averages, params=None):
        del params
        averages = jax.tree.map(lambda m, g: DECAY * m + (1 - DECAY) * g, averages, gradients)
        return jax.tree.map(rule, gradients, averages), averages

    return optax.GradientTransformation(init, update)


def predicted(params, inputs):
    """A network of one hidden layer."""
    return jnp.tanh(inputs @ params["w"] + params["b"][None]) @ params["v"]


def loss(params, eta, batch):
    """Mean squared error; η is in the optimiser alone."""
    del eta
    inputs, targets = batch
    return jnp.mean((predicted(params, inputs) - targets) ** 2)


def batches(key):
    """Points of a wave."""
    inputs = jax.random.uniform(key, (32, 1), minval=-2.0, maxval=2.0)
    return inputs, jnp.sin(3.0 * inputs[:, 0])


def start(key):
    """(parameters, η), both small."""
    keys = jax.random.split(key, 4)
    params = {
        "w": jax.random.normal(keys[0], (1, 16)),
        "b": jnp.zeros(16),
        "v": 0.3 * jax.random.normal(keys[1], (16,)),
    }
    eta = {
        "in": jax.random.normal(keys[2], (2, HIDDEN)),
        "out": 0.1 * jax.random.normal(keys[3], (HIDDEN, 1)),
    }
    return params, eta


def main(directory="learned-optimiser", steps=40):
    """Train with the optimiser as it is, with a probe every twenty steps."""
    params, eta = start(jax.random.key(0))
    optimiser = learned(eta)
    opt_state = optimiser.init(params)
    probe = hessdiag.Probe(
        inner_loss=loss,
        optimiser=learned,
        learning_rate=RATE,
        outer_loss=loss,
        batches=batches,
        n=5,
        momentum=DECAY,
        every=20,
        samples=32,
        operators=("paper", "augmented"),
        counterfactuals=("no-hessian", "no-memory"),
        name="learned optimiser",
        headline="loss",
    )
    found = None
    gradient = jax.jit(jax.value_and_grad(loss))
    for step in range(1, steps + 1):
        value, slope = gradient(params, eta, batches(jax.random.key(step)))
        metrics = {"loss": float(value)}
        latest = probe.record(directory, params, opt_state, eta, step=step, metrics=metrics)
        found = latest or found
        change, opt_state = optimiser.update(slope, opt_state, params)
        params = optax.apply_updates(params, change)
    return found


if __name__ == "__main__":
    print(main())
