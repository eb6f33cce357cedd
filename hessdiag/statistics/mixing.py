"""What the growth of n-step meta-gradients says about that of their mixes."""

import numpy as np


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
