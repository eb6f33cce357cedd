"""A bilevel problem: the L2 weight of every input of a logistic regression, learned by validation.

The inner loss is the training loss with the penalty; η are the logarithms of the weights; the outer
loss is the loss on data that the inner updates do not see.
"""

import jax
import jax.numpy as jnp
import optax

import hessdiag

INPUTS, RATE = 20, 0.05


def data(key, rows):
    """Rows of which the first five inputs alone matter."""
    inputs, noise = jax.random.split(key)
    x = jax.random.normal(inputs, (rows, INPUTS))
    y = x[:, :5].sum(1) + jax.random.normal(noise, (rows,)) > 0
    return x, y.astype(jnp.float32)


TRAINING, VALIDATION = data(jax.random.key(0), 200), data(jax.random.key(1), 200)


def cross_entropy(params, batch):
    """Mean over a batch."""
    x, y = batch
    return jnp.mean(optax.sigmoid_binary_cross_entropy(x @ params["w"] + params["b"], y))


def inner_loss(params, eta, batch):
    """Training loss and penalty."""
    return cross_entropy(params, batch) + jnp.sum(jnp.exp(eta) * params["w"] ** 2)


def outer_loss(params, eta, batch):
    """Loss on other data; η matters through the parameters alone."""
    del eta
    return cross_entropy(params, batch)


def some(rows):
    """A sampler of 32 rows."""

    def batch(key):
        chosen = jax.random.choice(key, len(rows[1]), (32,))
        return rows[0][chosen], rows[1][chosen]

    return batch


def start():
    """(parameters, optimiser, its state, η)."""
    params = {"w": jnp.zeros(INPUTS), "b": jnp.zeros(())}
    optimiser = optax.adam(RATE)
    return params, optimiser, optimiser.init(params), jnp.full(INPUTS, -3.0)


def main(directory="weight-decay", steps=60):
    """Train for some steps, with a probe every twenty."""
    params, optimiser, opt_state, eta = start()
    probe = hessdiag.Probe(
        inner_loss=inner_loss,
        optimiser=optimiser,
        learning_rate=RATE,
        outer_loss=outer_loss,
        batches=some(TRAINING),
        validation=some(VALIDATION),
        n=5,
        momentum=0.9,
        every=20,
        samples=32,
        counterfactuals=("no-hessian", "no-memory"),
        name="learned L2 weights",
    )

    @jax.jit
    def update(params, opt_state, key):
        value, gradient = jax.value_and_grad(inner_loss)(params, eta, some(TRAINING)(key))
        change, opt_state = optimiser.update(gradient, opt_state, params)
        return optax.apply_updates(params, change), opt_state, value

    found = None
    for step in range(1, steps + 1):
        loss = float(outer_loss(params, eta, VALIDATION))
        metrics = {"outer_loss": loss}
        latest = probe.record(directory, params, opt_state, eta, step=step, metrics=metrics)
        found = latest or found
        params, opt_state, _ = update(params, opt_state, jax.random.key(step))
    return found


if __name__ == "__main__":
    print(main())
