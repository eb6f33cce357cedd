"""The Hessian of a small flax classifier, and what Adam makes of it along ten updates."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import hessdiag
from hessdiag import spectra


class Classifier(nn.Module):
    """Two hidden layers."""

    @nn.compact
    def __call__(self, x):
        """Logits of three classes."""
        for width in (32, 16):
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(3)(x)


inputs = jax.random.normal(jax.random.key(0), (512, 10))
labels = jnp.argmax(inputs[:, :3] + 0.5 * inputs[:, 3:6] ** 2, axis=1)
model = Classifier()


def loss(params, batch):
    """Mean cross-entropy."""
    x, y = batch
    logits = jnp.asarray(model.apply(params, x))
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, y).mean()


optimiser = optax.adam(1e-2)


def trained(steps=30):
    """(parameters, optimiser state) somewhere in training."""
    params = model.init(jax.random.key(1), inputs[:1])
    state = optimiser.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def step(params, state):
    """One update of the whole data."""
    gradient = jax.grad(loss)(params, (inputs, labels))
    change, state = optimiser.update(gradient, state, params)
    return optax.apply_updates(params, change), state


def gauss_newton(params, batch):
    """The generalised Gauss-Newton matrix of the loss."""
    x, y = batch
    return spectra.gauss_newton(
        lambda p: jnp.asarray(model.apply(p, x)),
        lambda logits: optax.losses.softmax_cross_entropy_with_integer_labels(logits, y).mean(),
        params,
    )


def main():
    """The spectrum of the loss at one point, of its Gauss-Newton matrix, and along ten updates."""
    params, state = trained()
    result = hessdiag.spectrum(loss, params, (inputs, labels), top=5)
    print(result)
    result.plot("spectrum.png")
    result.save("spectrum.nc")
    print(hessdiag.spectrum(loss, params, (inputs, labels), operator=gauss_newton))

    # What ten Adam updates, each on its own batch, multiply a perturbation of the parameters by.
    update = hessdiag.OptaxUpdate(loss, optimiser, learning_rate=1e-2)
    batches = (inputs[:500].reshape(10, 50, 10), labels[:500].reshape(10, 50))
    along = hessdiag.inner_loop_spectra(update, (params, state), batches)
    print(along)
    along.plot("inner-loop.png")
    along.save("inner-loop.nc")


if __name__ == "__main__":
    main()
