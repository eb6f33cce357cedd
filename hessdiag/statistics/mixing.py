"""Mixes of i-step meta-gradients: their weights, and the growth that follows for them."""

import numpy as np


def mix_weights(n: int, kappa: float | None = None) -> np.ndarray:
    """w_i = κ^{i−1} (1 − κ)/(1 − κ^n), i = 1 … n (Bonnet et al. 2021, eq. 10).

    Args:
        n: number of inner updates, n ≥ 1.
        kappa: κ in [0, 1]; None means 1 − 1/n. At κ = 1 the limit 1/n is taken.
    """
    kappa = 1.0 - 1.0 / n if kappa is None else kappa
    powers = kappa ** np.arange(n)
    return powers / powers.sum()


def mixed_growth(growth: np.ndarray, weights: list[np.ndarray], *, coherent: bool) -> np.ndarray:
    """Growth of the i-mix, from that of the k-step meta-gradients that it averages.

    The std of Σ_k w_k g_k lies between the root of Σ (w_k s_k)², where the g_k vary independently,
    as validation noise does, and Σ w_k s_k, where they vary as one.

    Args:
        growth: (…, n) s(k)/s(1) of k = 1 … n.
        weights: entry i−1 holds the i weights of the i-mix.
        coherent: whether they vary as one.
    """
    parts = [growth[..., : len(row)] * row for row in weights]
    if coherent:
        return np.stack([part.sum(axis=-1) for part in parts], axis=-1)
    return np.stack([np.sqrt((part**2).sum(axis=-1)) for part in parts], axis=-1)
