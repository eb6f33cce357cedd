"""hessian-eigenthings: its Lanczos and its density. It cannot go on: it is told the depth."""

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from hessian_eigenthings import (  # pyright: ignore[reportMissingImports]
    CurvatureOperator,
    HessianOperator,
    LambdaOperator,
    lanczos,
    spectral_density,
    trace,
)

from benchmarks.peers.interface import Asked, Found, Measure
from benchmarks.torch_snake import TorchTarget


class Counted(CurvatureOperator):
    """An operator of the library, counting products."""

    def __init__(self, operator: CurvatureOperator):
        self.operator, self.matvecs = operator, 0

    @property
    def size(self):
        """Dimension."""
        return self.operator.size

    @property
    def device(self):
        """Device."""
        return self.operator.device

    @property
    def dtype(self):
        """Dtype."""
        return self.operator.dtype

    def matvec(self, v):
        """One product."""
        self.matvecs += 1
        return self.operator.matvec(v)


class Peer:
    """`lanczos` and `spectral_density` on an operator of the library.

    Attributes:
        operator: The operator.
        order: As in `TorchTarget`.
        seed: Of its start vectors.
        reorthogonalize: None is its own rule: not above depth 50.
    """

    def __init__(
        self,
        operator: CurvatureOperator,
        order: np.ndarray,
        seed: int = 0,
        reorthogonalize: bool | None = None,
    ):
        self.operator, self.order, self.seed = Counted(operator), order, seed
        self.reorthogonalize = reorthogonalize
        self.converged = np.zeros(0, bool)  # of the values of the last run

    def extremes(self, asked: Asked) -> Found:
        """Both ends of one run that is told its depth; by default one run for each end."""
        if asked.depth is not None:
            found = self.ritz(asked.depth, asked.tolerance)
            rows = [int(np.argmin(found.values)), int(np.argmax(found.values))]
            return _part(found, rows)._replace(flagged=not self.converged[rows].all())
        low, high = (_part(self._run(which=which), [0]) for which in ("SA", "LA"))
        return Found(
            values=np.concatenate([low.values, high.values]),
            matvecs=low.matvecs + high.matvecs,
            vectors=np.concatenate([_given(low.vectors), _given(high.vectors)]),
            errors=np.concatenate([_given(low.errors), _given(high.errors)]),
            flagged=low.flagged or high.flagged,
        )

    def top(self, num: int, asked: Asked) -> Found:
        """`which="LM"`."""
        if asked.depth is None:
            return self._run(k=num, which="LM")
        return self._run(
            k=num,
            which="LM",
            max_iter=asked.depth,
            reorthogonalize=self.reorthogonalize,
            **_tolerance(asked.tolerance),
        )

    def density(self, probes: int, steps: int) -> Measure:
        """The raw nodes behind its smoothed density."""
        self.operator.matvecs = 0
        made = spectral_density(self.operator, num_runs=probes, lanczos_steps=steps, seed=self.seed)
        nodes, weights = made.raw_eigenvalues.numpy(), made.raw_weights.numpy()
        there = np.isfinite(nodes)
        return Measure(nodes[there], weights[there] / probes, self.operator.matvecs)

    def ritz(self, depth: int, tolerance: float | None = None) -> Found:
        """Every value of one run."""
        return self._run(
            k=depth,
            max_iter=depth,
            which="LA",
            reorthogonalize=self.reorthogonalize,
            **_tolerance(tolerance),
        )

    def trace(self, products: int) -> tuple[float, float]:
        """Its default, Hutch++, with its standard error."""
        made = trace(self.operator, num_matvecs=products, seed=self.seed)
        return made.estimate, made.stderr

    def _run(self, **settings) -> Found:
        self.operator.matvecs = 0
        made = lanczos(self.operator, seed=self.seed, **settings)
        self.converged = made.converged.numpy()
        return Found(
            values=made.eigenvalues.numpy(),
            matvecs=self.operator.matvecs,
            vectors=made.eigenvectors.numpy()[:, self.order],
            errors=made.residuals.numpy(),
            flagged=not bool(made.converged.all()),
        )


def of_loss(target: TorchTarget, seed: int = 0, reorthogonalize: bool | None = True) -> Peer:
    """Its operator for the Hessian of a loss."""

    def loss(model, batch):
        inputs, targets = batch
        return target.criterion(model(inputs), targets)

    batches = [(target.inputs, target.targets)]
    operator = HessianOperator(target.model, batches, loss)
    return Peer(operator, target.order, seed, reorthogonalize)


def of_matrix(matrix: np.ndarray, seed: int) -> Peer:
    """Its operator for a product, here of a matrix, with its own defaults."""
    a = torch.from_numpy(matrix)
    return Peer(LambdaOperator(lambda v: a @ v, size=len(a)), np.arange(len(a)), seed)


def _tolerance(tolerance: float | None) -> dict[str, float]:
    return {} if tolerance is None else {"tol": tolerance}


def _part(found: Found, rows: list[int]) -> Found:
    return found._replace(
        values=found.values[rows],
        vectors=_given(found.vectors)[rows],
        errors=_given(found.errors)[rows],
    )


def _given(part: np.ndarray | None) -> np.ndarray:
    assert part is not None
    return part
