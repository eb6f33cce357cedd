"""Losses of one vector for the PyTorch libraries, which want a model and a criterion."""

from collections.abc import Callable

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from benchmarks.torch_snake import TorchTarget

Loss = Callable[[torch.Tensor], torch.Tensor]


class _Vector(nn.Module):
    """A model that is nothing but its parameters."""

    def __init__(self, theta: np.ndarray):
        super().__init__()
        self.theta = nn.Parameter(torch.from_numpy(np.array(theta, np.float32)))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.theta + 0 * inputs.sum()


class _Criterion(nn.Module):
    """A loss that needs no targets."""

    reduction = "mean"

    def __init__(self, loss: Loss):
        super().__init__()
        self.loss = loss

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.loss(outputs) + 0 * targets.sum()


def torch_vector(loss: Loss, theta: np.ndarray) -> TorchTarget:
    """The Hessian of a loss at `theta`, in float32."""
    nothing = torch.zeros(1, 1)
    order = np.arange(len(theta))
    return TorchTarget(_Vector(theta), _Criterion(loss), nothing, nothing, order)
