"""The cases of the conformance page, as every library is given them, and what is asked."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.target import Target
from hessdiag import spectra
from tests.oracles import gauntlet

Form = Literal["dense", "factors", "policy", "asymmetric"]


class Problem(NamedTuple):
    """One operator.

    Attributes:
        form: How it multiplies; low rank is given by factors, because rounded to a dense matrix it
            would not be low.
        data: What with, float32.
        truth: Its eigenvalues, ascending, or by real part.
    """

    form: Form
    data: Any
    truth: np.ndarray

    def jax_target(self) -> Target:
        """For the libraries that take products."""
        return Target(_OPERATORS[self.form], jax.tree.map(jnp.asarray, self.data))

    def torch_target(self):
        """For the libraries that take losses."""
        import torch  # pyright: ignore[reportMissingImports]

        from benchmarks.peers.torch_matrix import torch_vector

        given = jax.tree.map(lambda leaf: torch.from_numpy(np.array(leaf)), self.data)
        theta = self.data[0] if self.form == "policy" else np.ones(len(self.truth))
        return torch_vector(lambda v: _torch_loss(self.form, given, v), theta)


class Case(NamedTuple):
    """One question.

    Attributes:
        name: As in the gauntlet.
        about: What is hard about it.
        problem: Seed -> operator.
        ask: "all" values of a Krylov space that becomes invariant, the "top" by magnitude, both
            "ends", or the "trace".
        num: Values asked for, where a library wants a number.
        depth: Products for libraries that want a number.
        enough: Whether `depth` suffices; if not, the answer to pass with is that it does not.
    """

    name: str
    about: str
    problem: Callable[[int], Problem]
    ask: Literal["all", "top", "ends", "trace"]
    num: int
    depth: int
    enough: bool = True


def _matrix(name: str, scale: float = 1.0) -> Callable[[int], Problem]:
    """A case of the gauntlet."""
    case = gauntlet.CASES[name]

    def problem(seed: int) -> Problem:
        if case.is_low_rank:
            data = _single(case.factors(seed)), _single(scale * case.nonzero)
            return Problem("factors", data, scale * case.truth)
        return Problem("dense", _single(scale * case.matrix(seed)), scale * case.truth)

    return problem


def _policy_gradient(seed: int) -> Problem:
    made = gauntlet.policy_gradient(seed)
    data = (
        _single(made.logits.ravel()),
        made.states.astype(np.int32),
        made.actions.astype(np.int32),
        _single(made.advantages),
    )
    return Problem("policy", data, np.linalg.eigvalsh(made.hessian))


def _asymmetric(seed: int) -> Problem:
    matrix = gauntlet.asymmetric_matrix(seed, 0.3)
    return Problem("asymmetric", _single(matrix), np.linalg.eigvals(matrix))


def _classifier(seed: int) -> Problem:
    hessian = gauntlet.classifier(seed).hessian
    return Problem("dense", _single(hessian), np.linalg.eigvalsh(hessian))


def _single(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float32)


CASES = (
    Case("G1", "rank 12, n = 2000, 30 products", _matrix("G1"), "all", 12, 30),
    Case("G1b", "softmax policy, 6 of 50 states visited", _policy_gradient, "all", 18, 40),
    Case("G2", "13 outliers, 280 zeros, bulk; 60 products", _matrix("G2"), "top", 13, 60),
    Case("G3", "λ = +100 and −99.9", _matrix("G3"), "top", 2, 40),
    Case("G4", "eight distinct values in [4, 8]", _matrix("G4"), "all", 8, 20),
    Case("G5", "G2 × 1e-8", _matrix("G2", 1e-8), "top", 13, 60),
    Case("G6", "λ = −100, the rest in [0, 10]", _matrix("G6"), "top", 1, 30),
    Case("G8", "not symmetric", _asymmetric, "ends", 2, 30),
    Case("G9", "G2; 60 products, or its own rule", _matrix("G2"), "trace", 1, 60),
    Case("G11", "G2 with 16 products", _matrix("G2"), "top", 13, 16, enough=False),
    Case("G12", "network whose top is a cluster", _classifier, "top", 3, 40),
)


def _policy_loss(states, actions, advantages, theta):
    log_pi = jax.nn.log_softmax(theta.reshape(50, 4))
    return -jnp.mean(advantages * log_pi[states, actions])


def _dense_operator(a) -> spectra.Operator:
    return spectra.symmetric(lambda v: jnp.matmul(a, v, precision="highest"), a[0])


def _factors_operator(data) -> spectra.Operator:
    columns, values = data
    return spectra.symmetric(lambda v: columns @ (values * (v @ columns)), columns[:, 0])


def _policy_operator(data) -> spectra.Operator:
    theta, states, actions, advantages = data
    return spectra.hessian(lambda v: _policy_loss(states, actions, advantages, v), theta)


_OPERATORS = {
    "dense": _dense_operator,
    "asymmetric": _dense_operator,  # declared symmetric, as a user who is wrong would
    "factors": _factors_operator,
    "policy": _policy_operator,
}


def _torch_loss(form: Form, data, v):
    """The loss whose Hessian multiplies like the form."""
    if form == "dense":
        return 0.5 * v @ (data @ v)
    if form == "factors":
        columns, values = data
        return 0.5 * (values * (v @ columns) ** 2).sum()
    if form == "policy":
        _, states, actions, advantages = data
        log_pi = v.reshape(50, 4).log_softmax(1)
        return -(advantages * log_pi[states.long(), actions.long()]).mean()
    raise TypeError("a Hessian is symmetric")
