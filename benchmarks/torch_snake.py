"""The Snake network and its A2C loss in PyTorch, at hessdiag's parameters, on hessdiag's batch.

PyTorch libraries want a model, a criterion and (inputs, targets). The λ-return targets and the
advantages are constants of the loss, so they are targets like any label, computed once.
`python -m benchmarks.torch_snake` shows that the Hessian is the same.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from jax.flatten_util import ravel_pytree
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from benchmarks.peers.target import SnakeData, snake_data, snake_target
from hessdiag.problems.snake import Snake

AGREEMENT = 1e-4  # relative; both sides multiply in float32


class TorchTarget(NamedTuple):
    """What PyTorch libraries compute the Hessian of.

    Attributes:
        model: Its parameters are those that the Hessian is with respect to.
        criterion: (model outputs, targets) -> mean loss.
        inputs: One batch.
        targets: Its labels.
        order: `flat_jax = flat_torch[order]`, both vectors of all parameters.
    """

    model: nn.Module
    criterion: nn.Module
    inputs: torch.Tensor
    targets: torch.Tensor
    order: np.ndarray


class BoardActorCritic(nn.Module):
    """`hessdiag.rl.networks.BoardActorCritic`; logits and value are columns of one output."""

    def __init__(self, rows: int, cols: int, *, channels=5, actions=4, maps=32, torso=40, head=30):
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, maps, 3, padding=1)
        self.conv_1 = nn.Conv2d(maps, maps, 3, padding=1)
        self.torso = nn.Linear(maps * (rows // 4) * (cols // 4), torso)
        self.actor_hidden = nn.Linear(torso, head)
        self.actor_out = nn.Linear(head, actions)
        self.critic_hidden = nn.Linear(torso, head)
        self.critic_out = nn.Linear(head, 1)

    def forward(self, board: torch.Tensor) -> torch.Tensor:
        """Boards (N, C, H, W) to outputs (N, actions + 1)."""
        maps = board
        for conv in (self.conv_0, self.conv_1):
            maps = functional.max_pool2d(torch.relu(conv(maps)), 2)
        torso = torch.relu(self.torso(maps.permute(0, 2, 3, 1).flatten(1)))
        logits = self.actor_out(torch.relu(self.actor_hidden(torso)))
        value = self.critic_out(torch.relu(self.critic_hidden(torso)))
        return torch.cat([logits, value], 1)


class ActorCriticLoss(nn.Module):
    """`Snake.inner_loss`, given targets (N, 4): action, λ-return, advantage, and whether it counts.

    Attributes:
        reduction: How it averages, which some libraries read.
    """

    reduction = "mean"

    def __init__(self, critic: float, entropy: float):
        super().__init__()
        self.critic, self.entropy = critic, entropy

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of the states that count; a trajectory's last one only bootstraps."""
        action, target, advantage, counts = targets.unbind(1)
        log_pi = functional.log_softmax(outputs[:, :-1], 1)
        taken = log_pi.gather(1, action.long()[:, None])[:, 0]
        policy = -advantage * taken
        critic = 0.5 * (target - outputs[:, -1]) ** 2
        entropy = -(log_pi.exp() * log_pi).sum(1)
        loss = policy + self.critic * critic - self.entropy * entropy
        return (loss * counts).sum() / counts.sum()


def torch_snake(data: SnakeData | None = None) -> TorchTarget:
    """The benchmark's Hessian in PyTorch."""
    data = snake_data() if data is None else data
    boards = torch.from_numpy(np.array(data.trajectories.observation, np.float32))
    model = BoardActorCritic(*boards.shape[2:4])
    _load(model, data.params)
    hyper = {name: float(value) for name, value in Snake().hyper(data.eta).items()}
    inputs = boards.flatten(0, 1).permute(0, 3, 1, 2).contiguous()
    return TorchTarget(
        model=model,
        criterion=ActorCriticLoss(hyper["c_crit"], hyper["c_entr"]),
        inputs=inputs,
        targets=_targets(model, inputs, data, gamma=hyper["gamma"], lam=hyper["lambda"]),
        order=_order(data.params, model),
    )


def _targets(
    model: nn.Module, inputs: torch.Tensor, data: SnakeData, *, gamma: float, lam: float
) -> torch.Tensor:
    """Actions, λ-returns, advantages and which states count, one row a state."""
    seen = jax.tree.map(lambda leaf: torch.from_numpy(np.array(leaf)), data.trajectories)
    action, reward, discount = seen.transitions
    batch, length = reward.shape
    with torch.no_grad():
        v = model(inputs)[:, -1].reshape(batch, length + 1)
    targets = torch.empty_like(reward)
    g = v[:, -1]
    for t in reversed(range(length)):
        g = reward[:, t] + gamma * discount[:, t] * ((1 - lam) * v[:, t + 1] + lam * g)
        targets[:, t] = g
    columns = (action.float(), targets, targets - v[:, :-1], torch.ones_like(targets))
    rows = torch.stack(columns, -1)
    return torch.cat([rows, torch.zeros(batch, 1, 4)], 1).flatten(0, 1)


def _layout(params) -> dict[str, np.ndarray]:
    """Flax parameters by PyTorch's names, in PyTorch's axes."""
    made = {}
    for layer, values in params["params"].items():
        kernel = np.asarray(values["kernel"])
        axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        made[f"{layer}.weight"] = np.ascontiguousarray(kernel.transpose(axes))
        made[f"{layer}.bias"] = np.asarray(values["bias"])
    return made


def _load(model: nn.Module, params) -> None:
    state = {name: torch.from_numpy(np.array(value)) for name, value in _layout(params).items()}
    model.load_state_dict(state)


def _order(params, model: nn.Module) -> np.ndarray:
    """Where each entry of the flat JAX vector lies in the flat PyTorch vector."""
    flat, unravel = ravel_pytree(params)
    numbers = _layout(unravel(jnp.arange(flat.size, dtype=flat.dtype)))  # exact up to 2**24
    jax_of_torch = np.concatenate([numbers[name].ravel() for name, _ in model.named_parameters()])
    return np.argsort(jax_of_torch.astype(int))


def product(target: TorchTarget, vector: np.ndarray) -> np.ndarray:
    """Hessian times a flat JAX vector, by double backpropagation."""
    params = list(target.model.parameters())
    loss = target.criterion(target.model(target.inputs), target.targets)
    gradient = torch.autograd.grad(loss, params, create_graph=True)
    flat = torch.cat([g.flatten() for g in gradient])
    v = np.empty_like(vector)
    v[target.order] = vector
    made = torch.autograd.grad(flat @ torch.from_numpy(v), params)
    return torch.cat([m.flatten() for m in made]).numpy()[target.order]


def agreement(vectors: int = 4) -> float:
    """Largest relative distance of the two Hessians' products with random vectors."""
    data = snake_data()
    ours, theirs = snake_target(data), torch_snake(data)
    random = np.random.default_rng(0)
    worst = 0.0
    for _ in range(vectors):
        v = random.standard_normal(ours.size).astype(np.float32)
        a, b = np.asarray(ours.matvec(v)), product(theirs, v)
        worst = max(worst, float(np.linalg.norm(a - b) / np.linalg.norm(a)))
    return worst


def main() -> None:
    worst = agreement()
    print(f"JAX and PyTorch Hessian-vector products agree to {worst:.1e} relative")
    assert worst < AGREEMENT


if __name__ == "__main__":
    main()
