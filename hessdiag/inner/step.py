"""One update of an optimiser, linearised: every operator that its Jacobian is made of.

The update is theta' = theta + u(c(g), s, theta) with g = grad L(theta), s the optimiser's state and
c what comes before the optimiser, such as clipping. All operators share one linearised gradient, so
that a product of any of them costs one product of the Hessian.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hessdiag.spectra.curvature import symmetric_on
from hessdiag.spectra.operators import Operator, identity_plus
from hessdiag.spectra.spaces import Space


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class InnerStep:
    """The operators of one inner update at one point.

    A pytree of arrays: steps are stacked, and cross the boundaries of jitted functions, without
    being linearised again. All operators but `hessian` are of the form I + N and carry N as
    `minus_identity`, computed without ever forming I + N.

    Attributes:
        learning_rate: alpha, a scalar; None where there is none to speak of.
        loss: L(theta).
        gradient: g, flat.
        clip_ratio: <c(g), g> / <g, g>: what c multiplies the length of g by.
        params: The space of the parameters.
        memory: The space of the optimiser's state, floating-point leaves only.
        moments: Which entries of the memory are its first and second moments (`moments_of`).
        precision: Of matrix products inside the operators' own (`InnerUpdate.precision`).
    """

    learning_rate: Float[Array, ""] | None
    loss: Float[Array, ""]
    gradient: Float[Array, " d"]
    clip_ratio: Float[Array, ""]
    _products: Callable  # w -> (Hessian w, d2L/(d eta d theta) w, g w)
    _clip: Callable  # tangents of g -> tangents of c(g)
    _respond: Callable  # tangents of (theta, s, c(g)) -> tangents of (u, s')
    _move_targets: Callable | None  # tangents of theta -> tangents of the semi-gradient
    _by_eta: Callable | None  # tangents of eta -> tangents of (u, s'), the gradient held
    params: Space = field(metadata={"static": True})
    memory: Space = field(metadata={"static": True})
    moments: tuple[tuple[str, tuple[int, int]], ...] = field(metadata={"static": True}, default=())
    precision: str = field(metadata={"static": True}, default="highest")

    @property
    def hessian(self) -> Operator:
        """Hessian of the inner loss."""
        return symmetric_on(self.params, self._precisely(lambda v: self._products(v)[0]))

    def products(self, w: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, " m"]]:
        """Hessian times w, and the derivative of <g, w> in eta, at the price of one product.

        This is the transposed derivative of g in (theta, eta), as second derivatives are symmetric.
        Empty in eta where the step was linearised without it.
        """
        to_params, to_eta, _ = self._precisely(self._products)(w)
        return to_params, to_eta

    def back_through_optimiser(
        self, to_params: Float[Array, " d"], to_memory: Float[Array, " k"]
    ) -> tuple[Float[Array, " d"], Float[Array, " k"], Float[Array, " d"]]:
        """Cotangents of theta, of the memory and of g, the gradient held, from those of x'."""
        to_theta, to_state, to_clipped = self._respond_back(to_params, to_memory)
        return to_params + to_theta, to_state, self.back_through_clipping(to_clipped)

    def back_through_clipping(self, to_clipped: Float[Array, " d"]) -> Float[Array, " d"]:
        """The cotangent of g from that of c(g)."""
        return jax.linear_transpose(self._clip, self.gradient)(to_clipped)[0]

    def respond(
        self, theta: Float[Array, " d"], memory: Float[Array, " k"], gradient: Float[Array, " d"]
    ) -> tuple[Float[Array, " d"], Float[Array, " k"]]:
        """The tangents of theta' and s' from those of theta, s and g."""
        change, after = self._respond(theta, memory, self._clip(gradient))
        return theta + change, after

    def respond_to_clipped(
        self, theta: Float[Array, " d"], memory: Float[Array, " k"], clipped: Float[Array, " d"]
    ) -> tuple[Float[Array, " d"], Float[Array, " k"]]:
        """The tangents of theta' - theta and s' from those of theta, s and c(g)."""
        return self._respond(theta, memory, clipped)

    def respond_to_eta(
        self, eta: Float[Array, " m"]
    ) -> tuple[Float[Array, " d"], Float[Array, " k"]]:
        """The tangents of theta' and s' from those of eta, the gradient held."""
        if self._by_eta is None:
            return jnp.zeros_like(self.gradient), self._no_memory
        return self._by_eta(eta)

    def back_to_eta(
        self, to_params: Float[Array, " d"], to_memory: Float[Array, " k"], like: Float[Array, " m"]
    ) -> Float[Array, " m"]:
        """The cotangent of eta, shaped like `like`, from those of x', the gradient held."""
        if self._by_eta is None:
            return jnp.zeros_like(like)
        return jax.linear_transpose(self._by_eta, like)((to_params, to_memory))[0]

    @property
    def paper(self) -> Operator:
        """I + H = I - alpha Hessian (Bonnet et al. 2021, eq. 11); ValueError without an alpha."""
        if self.learning_rate is None:
            raise ValueError("I - alpha H needs a learning rate, and this inner step has none")
        return identity_plus(-self.learning_rate * self.hessian)

    @property
    def semi_gradient(self) -> Operator:
        """I - alpha dg/dtheta for a semi-gradient g whose bootstrap targets move with theta.

        Not what a meta-gradient multiplies by, which holds targets constant, but what the iterates
        of semi-gradient descent do. Not symmetric; ValueError without an alpha or a semi-gradient.
        """
        if self.learning_rate is None or self._move_targets is None:
            raise ValueError("this inner step has no learning rate or no semi-gradient")
        move, rate = self._move_targets, self.learning_rate

        product = self._precisely(lambda v: -rate * move(v))
        back = self._precisely(lambda u: -rate * jax.linear_transpose(move, self.gradient)(u)[0])
        return identity_plus(Operator(product, back, self.params, self.params))

    @property
    def preconditioned(self) -> Operator:
        """I + D c H with D = du / dc(g), the optimiser's own response; c acts as a number.

        What the step would multiply by if the length to clip to moved with the gradient.
        """
        ratio = self.clip_ratio

        def product(v):
            return self._from_gradient(ratio * self.hessian.product(v))

        def transposed(u):
            return self.hessian.product(ratio * self._respond_back(u, self._no_memory)[2])

        return identity_plus(Operator(product, transposed, self.params, self.params))

    @property
    def update(self) -> Operator:
        """The exact Jacobian of theta' in theta, clipping and weight decay included."""

        def product(v):
            return self._respond(v, self._no_memory, self._clipped_change(v))[0]

        def transposed(u):
            to_params, _, to_clipped = self._respond_back(u, self._no_memory)
            return to_params + self.hessian.product(self.back_through_clipping(to_clipped))

        return identity_plus(Operator(product, transposed, self.params, self.params))

    @property
    def augmented(self) -> Operator:
        """The exact Jacobian of (theta', s') in (theta, s): the update with its memory."""
        space, size = self.params * self.memory, self.params.size

        def product(x):
            v, memory = x[:size], x[size:]
            change, after = self._respond(v, memory, self._clipped_change(v))
            return jnp.concatenate([change, after - memory])

        def transposed(y):
            to_params, to_memory, to_clipped = self._respond_back(y[:size], y[size:])
            back = self.hessian.product(self.back_through_clipping(to_clipped))
            return jnp.concatenate([to_params + back, to_memory - y[size:]])

        return identity_plus(Operator(product, transposed, space, space))

    @property
    def response(self) -> Operator:
        """The derivative of (theta', s') in g, clipping included."""
        still, size = jnp.zeros_like(self.gradient), self.params.size

        def product(v):
            return jnp.concatenate(self._respond(still, self._no_memory, self._clip(v)))

        def transposed(y):
            return self.back_through_clipping(self._respond_back(y[:size], y[size:])[2])

        return Operator(product, transposed, self.params, self.params * self.memory)

    @property
    def updates_as_preconditioned(self) -> Bool[Array, ""]:
        """Whether `update` and `preconditioned` are one operator.

        Not where clipping is active, or the update depends on the parameters themselves (weight
        decay). Random changes of each alone tell.
        """
        shape, dtype = (2, *self.gradient.shape), self.gradient.dtype
        v, of_gradient = jax.random.normal(jax.random.key(0), shape, dtype)
        by_params = self._respond(v, self._no_memory, jnp.zeros_like(v))[0]
        clipped = self._clip(of_gradient)
        return jnp.all(by_params == 0) & jnp.array_equal(clipped, self.clip_ratio * of_gradient)

    @property
    def response_scale(self) -> Float[Array, " d"]:
        """Sqrt |D 1|, entry by entry; 1 where that vanishes.

        Where D is diagonal and of one sign, dividing rows and multiplying columns by it makes
        `preconditioned` symmetric.
        """
        scale = jnp.sqrt(jnp.abs(self._from_gradient(jnp.ones_like(self.gradient))))
        return jnp.where(scale > 0, scale, 1)

    def _respond_back(self, to_change: Float[Array, " d"], to_memory: Float[Array, " k"]):
        """Cotangents of (theta, s, c(g)) from those of (u, s')."""
        primals = (self.gradient, self._no_memory, self.gradient)
        return jax.linear_transpose(self._respond, *primals)((to_change, to_memory))

    @property
    def _precisely(self) -> Any:
        return jax.default_matmul_precision(self.precision)

    @property
    def _no_memory(self) -> Float[Array, " k"]:
        return jnp.zeros(self.memory.size, self.memory.dtype)

    def _clipped_change(self, v: Float[Array, " d"]) -> Float[Array, " d"]:
        return self._clip(self.hessian.product(v))

    def _from_gradient(self, change: Float[Array, " d"]) -> Float[Array, " d"]:
        return self._respond(jnp.zeros_like(change), self._no_memory, change)[0]
