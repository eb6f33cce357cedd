"""Logistic regression in batches of eight and two: what is the Hessian of the mean loss?"""

import jax
import jax.numpy as jnp
import numpy as np

from tests.oracles.gauntlet import RaggedRegression, ragged_regression


def unequal_batches(library: str, seed: int) -> float | None:
    """Relative error of the largest eigenvalue by one library; None if it takes no batches."""
    asked = {
        "hessdiag": _hessdiag,
        "pyhessian": _pyhessian,
        "eigenthings": _eigenthings,
        "curvlinops": _curvlinops,
    }
    if library not in asked:
        return None
    regression = ragged_regression(seed)
    largest = np.linalg.eigvalsh(regression.hessian)[-1]
    return float(abs(asked[library](regression) - largest) / largest)


def _hessdiag(regression: RaggedRegression) -> float:
    from hessdiag import spectra
    from hessdiag.spectra.chunked import chunked

    def loss(theta, batch):
        inputs, signs = batch
        return jnp.mean(jax.nn.softplus(-signs * (inputs @ theta)))

    batch = jax.tree.map(jnp.float32, (regression.inputs, regression.signs))
    mean_loss = chunked(loss, regression.batch_sizes[0])

    @jax.jit
    def dense(theta):
        return spectra.dense_matrix(spectra.hessian(lambda t: mean_loss(t, batch), theta))

    matrix = dense(jnp.float32(regression.theta))
    return float(spectra.matrix_spectrum(np.asarray(matrix)).values[-1])


def _torch_regression(regression: RaggedRegression):
    """Model, criterion and batches."""
    import torch  # pyright: ignore[reportMissingImports]

    class Logistic(torch.nn.Module):
        reduction = "mean"

        def forward(self, outputs, signs):
            return torch.nn.functional.softplus(-signs * outputs[:, 0]).mean()

    model = torch.nn.Linear(len(regression.theta), 1, bias=False)
    theta, inputs, signs = (
        torch.from_numpy(part.astype(np.float32))
        for part in (regression.theta, regression.inputs, regression.signs)
    )
    model.load_state_dict({"weight": theta[None]})
    sizes = list(regression.batch_sizes)
    batches = list(zip(inputs.split(sizes), signs.split(sizes), strict=True))
    return model, Logistic(), batches


def _pyhessian(regression: RaggedRegression) -> float:
    import pyhessian  # pyright: ignore[reportMissingImports]

    model, criterion, batches = _torch_regression(regression)
    made = pyhessian.hessian(model, criterion, dataloader=batches, cuda=False)
    values, _ = made.eigenvalues(tol=1e-6, maxIter=1000)
    return float(values[0])


def _eigenthings(regression: RaggedRegression) -> float:
    from hessian_eigenthings import (  # pyright: ignore[reportMissingImports]
        HessianOperator,
        lanczos,
    )

    model, criterion, batches = _torch_regression(regression)
    operator = HessianOperator(model, batches, lambda m, batch: criterion(m(batch[0]), batch[1]))
    return float(lanczos(operator, k=1, max_iter=6, which="LA", seed=0).eigenvalues[0])


def _curvlinops(regression: RaggedRegression) -> float:
    from curvlinops import HessianLinearOperator  # pyright: ignore[reportMissingImports]
    from scipy.sparse.linalg import eigsh

    model, criterion, batches = _torch_regression(regression)
    hessian = HessianLinearOperator(model, criterion, list(model.parameters()), batches)
    return float(eigsh(hessian.to_scipy(), k=1, which="LA", return_eigenvectors=False)[0])
