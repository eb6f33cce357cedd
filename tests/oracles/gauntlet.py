"""Cases that published Hessian tools fail, with their truth: NumPy and float64 alone.

Nothing here knows of the library under test, so that any library can be asked the same questions.
Data of losses are float32 numbers kept in float64: the truth holds for both dtypes.
"""

import dataclasses
import functools

import numpy as np

SEEDS = range(20)
SCALES = (1e-8, 1.0, 1e8)


@dataclasses.dataclass(frozen=True)
class Case:
    """A symmetric matrix of known spectrum, and how a library is asked for it.

    Attributes:
        name: Name of the case in the conformance suite.
        about: What goes wrong with it elsewhere.
        nonzero: Its eigenvalues, ascending, without the exact zeros of a matrix of low rank.
        size: Rows of the matrix.
        max_matvecs: Products that may be spent.
        tolerances: Accuracies of both ends to ask for, relative to |A|; zero spends all products.
    """

    name: str
    about: str
    nonzero: np.ndarray
    size: int
    max_matvecs: int
    tolerances: tuple[float, ...]

    @property
    def truth(self) -> np.ndarray:
        """All eigenvalues, ascending."""
        return np.sort(np.concatenate([self.nonzero, np.zeros(self.size - len(self.nonzero))]))

    @property
    def is_low_rank(self) -> bool:
        """Whether the matrix is exactly of low rank, which only products by factors keep."""
        return len(self.nonzero) < self.size

    def factors(self, seed: int) -> np.ndarray:
        """Orthonormal columns Q, one for each of `nonzero`: the matrix is Q diag(nonzero) Q'."""
        return orthonormal(self.size, len(self.nonzero), seed)

    def matrix(self, seed: int) -> np.ndarray:
        """The dense matrix."""
        basis = self.factors(seed)
        matrix = (basis * self.nonzero) @ basis.T
        return (matrix + matrix.T) / 2


def outlier_spectrum() -> np.ndarray:
    """Ten outliers 2..100, three negatives, 280 zeros, and a bulk in (0, 1); d = 600."""
    outliers = np.array([2, 3, 5, 8, 12, 20, 30, 45, 60, 100.0])
    negatives = np.array([-20.0, -10.0, -5.0])
    bulk = np.linspace(0.05, 1, 600 - 293)
    return np.sort(np.concatenate([outliers, negatives, np.zeros(280), bulk]))


def _case(name, about, eigenvalues, size=None, *, max_matvecs=60, tolerances=(0.0, 1e-5)) -> Case:
    eigenvalues = np.sort(np.asarray(eigenvalues, np.float64))
    size = len(eigenvalues) if size is None else size
    return Case(name, about, eigenvalues, size, max_matvecs, tolerances)


CASES = {
    case.name: case
    for case in [
        _case(
            "G1",
            "rank 12: the Krylov space is invariant after 13 of 30 steps",
            np.concatenate([[-1, 50], np.random.default_rng(0).uniform(1, 49, 10)]),
            2000,
            max_matvecs=30,
        ),
        _case("G2", "outliers converge long before the last step: ghosts", outlier_spectrum()),
        _case(
            "G3",
            "two ends of almost equal size and opposite sign",
            np.concatenate([[-99.9], np.linspace(-1, 1, 198), [100.0]]),
        ),
        _case(
            "G4",
            "eight distinct eigenvalues far from zero: padding makes up zeros",
            np.repeat(np.linspace(4, 8, 8), 25),
        ),
        _case(
            "G4 beyond d",
            "more products allowed than there are rows",
            np.repeat(np.linspace(4, 8, 8), 3),
            max_matvecs=40,
        ),
        _case(
            "G5",
            "thresholds that do not scale with the operator",
            np.random.default_rng(2).standard_normal(200),
            tolerances=(0.0, 1e-2, 1e-4),
        ),
        _case(
            "G6",
            "the largest eigenvalue in magnitude is the lowest",
            np.concatenate([[-100.0], np.linspace(0, 10, 199)]),
            tolerances=(0.0, 1e-3),
        ),
    ]
}
"""The cases that a matrix is enough for; the others need a loss and have functions of their own."""


@functools.cache
def orthonormal(size: int, columns: int, seed: int) -> np.ndarray:
    """Orthonormal columns: cosines of random frequencies, rows with random signs.

    All entries are of one size, as those of random columns, and need no factorisation.
    """
    rng = np.random.default_rng(seed)
    frequencies = rng.permutation(size)[:columns]
    turns = np.outer(2 * np.arange(size) + 1, frequencies) % (4 * size)  # integers: exact
    cosines = np.cos(np.pi * turns / (2 * size)) * np.where(frequencies == 0, 1, np.sqrt(2))
    return rng.choice([-1.0, 1.0], size)[:, None] * cosines / np.sqrt(size)


@dataclasses.dataclass(frozen=True)
class PolicyGradient:
    """G1b: softmax policy-gradient surrogate -mean(advantage log pi(action | state)), tabular.

    Fifty states with four actions, of which six states are visited: rank 18 of 200.
    """

    logits: np.ndarray  # (50, 4)
    states: np.ndarray  # (48,)
    actions: np.ndarray  # (48,)
    advantages: np.ndarray  # (48,)

    @property
    def hessian(self) -> np.ndarray:
        """One block (sum of advantages / 48) (diag pi - pi pi') for every visited state."""
        policy = np.exp(self.logits)
        policy /= policy.sum(axis=1, keepdims=True)
        hessian = np.zeros((50, 4, 50, 4))
        for state in range(6):
            weight = np.sum(self.advantages[self.states == state]) / len(self.states)
            pi = policy[state]
            hessian[state, :, state] = weight * (np.diag(pi) - np.outer(pi, pi))
        return hessian.reshape(200, 200)


def policy_gradient(seed: int) -> PolicyGradient:
    """G1b for one seed."""
    rng = np.random.default_rng(seed)
    return PolicyGradient(
        logits=_single(rng.standard_normal((50, 4))),
        states=np.repeat(np.arange(6), 8),
        actions=rng.integers(0, 4, 48),
        advantages=_single(rng.standard_normal(48)),
    )


@dataclasses.dataclass(frozen=True)
class RaggedRegression:
    """G7: logistic regression, mean of log(1 + exp(-y x'theta)), in batches of 8 and 2."""

    inputs: np.ndarray  # (10, 6)
    signs: np.ndarray  # (10,), y
    theta: np.ndarray  # (6,)

    batch_sizes = (8, 2)

    @property
    def hessian(self) -> np.ndarray:
        """Mean over the ten examples."""
        return self._mean_hessian(slice(None))

    @property
    def mean_of_batch_means(self) -> np.ndarray:
        """The wrong answer: batches of unequal size with equal weights."""
        return (self._mean_hessian(slice(8)) + self._mean_hessian(slice(8, None))) / 2

    def _mean_hessian(self, examples: slice) -> np.ndarray:
        inputs = self.inputs[examples]
        probability = 1 / (1 + np.exp(-inputs @ self.theta))
        weights = probability * (1 - probability)
        return (inputs.T * weights) @ inputs / len(inputs)


def ragged_regression(seed: int) -> RaggedRegression:
    """G7 for one seed."""
    rng = np.random.default_rng(seed)
    return RaggedRegression(
        inputs=_single(rng.standard_normal((10, 6))),
        signs=rng.choice([-1.0, 1.0], 10),
        theta=_single(rng.standard_normal(6)),
    )


def asymmetric_matrix(seed: int, asymmetry: float) -> np.ndarray:
    """G8: a symmetric matrix with a skew part of this size beside it; d = 200."""
    gaussian = np.random.default_rng(seed).standard_normal((2, 200, 200)) / np.sqrt(200)
    symmetric, skew = gaussian[0] + gaussian[0].T, gaussian[1] - gaussian[1].T
    return symmetric + asymmetry * skew


@dataclasses.dataclass(frozen=True)
class Classifier:
    """G12: cross-entropy of a tanh network at random initialisation, whose top is a cluster."""

    inputs: np.ndarray  # (256, 10)
    labels: np.ndarray  # (256,)
    params: dict[str, np.ndarray]  # hidden_bias, hidden_weight, output_bias, output_weight

    @property
    def hessian(self) -> np.ndarray:
        """In closed form: Gauss-Newton part and curvature of the logits, parameters by name."""
        hidden = np.tanh(self.inputs @ self.params["hidden_weight"] + self.params["hidden_bias"])
        logits = hidden @ self.params["output_weight"] + self.params["output_bias"]
        policy = np.exp(logits - logits.max(axis=1, keepdims=True))
        policy /= policy.sum(axis=1, keepdims=True)
        examples, classes = policy.shape
        units = hidden.shape[1]
        slope = 1 - hidden**2
        residual = policy - np.eye(classes)[self.labels]

        # d logits / d (input of a unit), then d logits / d parameters, example by example
        through = slope[:, None, :] * self.params["output_weight"].T[None]
        to_hidden_weight = np.einsum("ni,nku->nkiu", self.inputs, through)
        identity = np.broadcast_to(np.eye(classes), (examples, classes, classes))
        to_output_weight = np.einsum("nu,kc->nkuc", hidden, np.eye(classes))
        jacobian = np.concatenate(
            [
                through,
                to_hidden_weight.reshape(examples, classes, -1),
                identity,
                to_output_weight.reshape(examples, classes, -1),
            ],
            axis=2,
        )
        curvature = np.einsum("nk,kl->nkl", policy, np.eye(classes))
        curvature = curvature - policy[:, :, None] * policy[:, None, :]
        hessian = np.einsum("nki,nkj->ij", jacobian, curvature @ jacobian, optimize=True)

        # Second derivatives of residual' logits: within a unit, and of a unit with its outputs
        ones = np.concatenate([np.ones((examples, 1)), self.inputs], axis=1)
        bend = (residual @ self.params["output_weight"].T) * (-2 * hidden * slope)
        within = np.einsum("nu,ni,nj->iuj", bend, ones, ones, optimize=True)
        across = np.einsum("nu,ni,nc->iuc", slope, ones, residual, optimize=True)
        first_output = hessian.shape[0] - units * classes
        for unit in range(units):
            incoming = unit + units * np.arange(ones.shape[1])
            outgoing = first_output + classes * unit + np.arange(classes)
            hessian[np.ix_(incoming, incoming)] += within[:, unit]
            hessian[np.ix_(incoming, outgoing)] += across[:, unit]
            hessian[np.ix_(outgoing, incoming)] += across[:, unit].T
        return hessian / examples


def classifier(seed: int) -> Classifier:
    """G12 for one seed: d = 262, uncorrelated inputs, a small output layer."""
    rng = np.random.default_rng(seed)
    inputs = np.sqrt(256) * np.linalg.qr(rng.standard_normal((256, 10)))[0]
    return Classifier(
        inputs=_single(inputs),
        labels=rng.integers(0, 10, 256),
        params={
            "hidden_bias": np.zeros(12),
            "hidden_weight": _single(rng.standard_normal((10, 12)) / np.sqrt(10)),
            "output_bias": np.zeros(10),
            "output_weight": _single(rng.standard_normal((12, 10)) / np.sqrt(48)),
        },
    )


def distances(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of every value to the nearest eigenvalue."""
    return np.min(np.abs(values[:, None] - truth[None]), axis=1)


def num_ghosts(values: np.ndarray, truth: np.ndarray, width: float) -> int:
    """Number of the values that are listed more often than there are eigenvalues near them."""
    listed = np.sum(np.abs(values[:, None] - values[None]) <= width, axis=1)
    present = np.sum(np.abs(values[:, None] - truth[None]) <= 2 * width, axis=1)
    return int(np.sum(listed > present))


def _single(numbers: np.ndarray) -> np.ndarray:
    """Rounded to float32, in float64."""
    return numbers.astype(np.float32).astype(np.float64)
