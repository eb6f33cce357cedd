"""The discounting chain step by step, and its losses episode by episode, in plain NumPy.

Dynamics of gymnax 0.0.5: the first action is the context; the clock goes one step on; the reward of
the context comes when the clock shows its delay; an episode ends when it shows 100.
"""

import numpy as np

DELAYS = {0: 1, 1: 3, 2: 10, 3: 30, 4: 100}
MAPPING_SEED = 3


class Chain:
    """One episode."""

    def __init__(self):
        self.context, self.clock = -1, 0

    def observation(self) -> np.ndarray:
        return np.array([self.context, self.clock / 100])

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        """(observation, reward, whether it is over)."""
        if self.clock == 0:
            self.context = action
        self.clock += 1
        reward = 0.0
        if self.clock == DELAYS[self.context]:
            reward = 1.1 if self.context == MAPPING_SEED else 1.0
        return self.observation(), reward, self.clock == 100


def play(actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations (T + 1, 2), rewards (T,) and whether it goes on (T,), of one episode."""
    chain = Chain()
    seen, rewards, goes_on = [chain.observation()], [], []
    for action in actions:
        observation, reward, over = chain.step(int(action))
        seen.append(observation)
        rewards.append(reward)
        goes_on.append(0.0 if over else 1.0)
    return np.array(seen), np.array(rewards), np.array(goes_on)


def value(observation: np.ndarray, pi: np.ndarray, gamma: float, extra: int) -> float:
    """The exact value of a state; of the first one with `extra` discounts too many."""
    context, clock = round(observation[0]), round(observation[1] * 100)
    if clock == 0:
        sizes = [1.1 if arm == MAPPING_SEED else 1.0 for arm in range(5)]
        return sum(pi[a] * gamma ** (DELAYS[a] - 1 + extra) * sizes[a] for a in range(5))
    left = DELAYS[context] - clock - 1
    return (1.1 if context == MAPPING_SEED else 1.0) * gamma**left if left >= 0 else 0.0


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def advantages(actions, gamma, at, critic_gamma, extra) -> np.ndarray:
    """Of every step of every episode; the last value is that of no state."""
    found = []
    for of_episode in actions:
        seen, rewards, goes_on = play(of_episode)
        values = [
            value(one, softmax(one @ at["w"] + at["b"]), critic_gamma, extra) for one in seen[:-1]
        ]
        found.append(rewards + gamma * goes_on * np.array([*values[1:], 0.0]) - values)
    return np.concatenate(found)


def _steps(params, actions):
    """π, the action and the observation of every step."""
    for of_episode in actions:
        for observation, action in zip(play(of_episode)[0], of_episode, strict=False):
            yield softmax(observation @ params["w"] + params["b"]), int(action), observation


def loss(params, actions, gamma, *, critic_gamma, at=None, normalise=False, extra=1) -> float:
    """Mean over episodes and steps of −A log π(a) − 0.005 H(π).

    Args:
        params: w (2, 5) and b (5,).
        actions: (B, T).
        gamma: discount of the advantages.
        critic_gamma: the critic's.
        at: parameters at which values are taken; `params` if None.
        normalise: standardise the advantages.
        extra: discounts too many.
    """
    of_steps = advantages(actions, gamma, params if at is None else at, critic_gamma, extra)
    if normalise:
        of_steps = (of_steps - of_steps.mean()) / np.sqrt(of_steps.var() + 1e-5)
    terms = [
        -advantage * np.log(pi[action]) + 0.005 * (pi * np.log(pi)).sum()
        for advantage, (pi, action, _) in zip(of_steps, _steps(params, actions), strict=True)
    ]
    return float(np.mean(terms))


def slope(params, actions, gamma, *, critic_gamma, normalise=False, extra=1) -> dict:
    """∂L/∂θ: one-hot minus π for log π, values held; the scale of advantages is held at γ's own."""
    of_steps = advantages(actions, gamma, params, critic_gamma, extra)
    if normalise:
        held = advantages(actions, critic_gamma, params, critic_gamma, extra)
        of_steps = (of_steps - held.mean()) / np.sqrt(held.var() + 1e-5)
    rows, seen = [], []
    for advantage, (pi, action, observation) in zip(of_steps, _steps(params, actions), strict=True):
        of_entropy = -pi * (np.log(pi) - (pi * np.log(pi)).sum())
        rows.append(-advantage * (np.eye(5)[action] - pi) - 0.005 * of_entropy)
        seen.append(observation)
    by_logit = np.array(rows) / len(rows)
    return {"w": np.array(seen).T @ by_logit, "b": by_logit.sum(axis=0)}
