"""Meta-learning one learning rate per parameter through an unrolled optax loop."""

import jax
import jax.numpy as jnp
import optax

import hessdiag

STEPS = 8
curvatures = jnp.logspace(-2, 1, 20)  # a regression whose directions differ by a factor of 1000


def loss(params, batch):
    """Mean squared error of a linear model."""
    x, y = batch
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)


def batches_of(key):
    """One batch per inner step, and one to validate on."""
    x = jax.random.normal(key, (STEPS + 1, 64, 20)) * jnp.sqrt(curvatures)
    y = jnp.sum(jnp.sin(x), axis=-1)
    return (x[:-1], y[:-1]), (x[-1], y[-1])


def update_with(log_rates):
    """Momentum with a learned learning rate for every parameter."""
    rates = jax.tree.map(jnp.exp, log_rates)
    scale = optax.stateless(
        lambda change, _: jax.tree.map(lambda c, rate: -rate * c, change, rates)
    )
    return hessdiag.OptaxUpdate(loss, optax.chain(optax.trace(decay=0.9), scale))


def outer_loss(log_rates, params, key):
    """Validation loss after the inner loop: what the meta-gradient differentiates."""
    update = update_with(log_rates)
    inner, validation = batches_of(key)
    state, _ = jax.lax.scan(
        lambda state, batch: (update(state, batch), None), update.init(params), inner
    )
    return loss(state[0], validation)


params = {"w": jnp.zeros(20), "b": jnp.zeros(())}
log_rates = jax.tree.map(lambda p: jnp.full_like(p, jnp.log(1e-3)), params)
meta_optimiser = optax.adam(0.05)
meta_gradient = jax.jit(jax.value_and_grad(outer_loss))


def main(log_rates=log_rates):
    """Learn the rates; look at the inner loop before and after."""
    meta_state = meta_optimiser.init(log_rates)
    for step in range(101):
        value, gradient = meta_gradient(log_rates, params, jax.random.key(step))
        if step in (0, 100):
            update = update_with(log_rates)
            inner, _ = batches_of(jax.random.key(step))
            found = hessdiag.inner_loop_spectra(update, update.init(params), inner)
            print(f"meta-iteration {step}: validation loss {value:.3f}")
            print(found)
        change, meta_state = meta_optimiser.update(gradient, meta_state, log_rates)
        log_rates = optax.apply_updates(log_rates, change)


if __name__ == "__main__":
    main()
