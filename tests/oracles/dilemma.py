"""The iterated prisoner's dilemma of two players who remember a round, in NumPy.

Functions take complex logits, too: derivatives by complex steps are exact to rounding.
"""

from itertools import product

import numpy as np

PAYOFFS = (-2.0, 0.0, -3.0, -1.0)  # to oneself, after DD, DC, CD, CC
SEEN_BY_OTHER = [0, 1, 3, 2, 4]  # start, DD, DC, CD, CC


def joint(own, other):
    """Probabilities (5, 4) of DD, DC, CD, CC after each state, as oneself sees them."""
    p, q = 1 / (1 + np.exp(-own)), 1 / (1 + np.exp(-other[SEEN_BY_OTHER]))
    return np.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], axis=1)


def value(own, other, gamma=0.96):
    """P_0 (I − γ P)⁻¹ R."""
    table = joint(own, other)
    return table[0] @ np.linalg.solve(np.eye(4) - gamma * table[1:], np.array(PAYOFFS))


def slope(own, other, gamma=0.96):
    """∂/∂own of one's own value, by complex steps."""
    steps = 1e-30j * np.eye(5)
    return np.array([value(own + step, other, gamma).imag / 1e-30 for step in steps])


def lookahead_value(own, other, rate, updates=1, gamma=0.96):
    """One's value against the other after its updates (Foerster et al. 2018, LOLA)."""
    for _ in range(updates):
        other = other + rate * slope(other, own, gamma)
    return value(own, other, gamma)


def games(one, two, length):
    """All games of that many rounds (4^T, T+1), and how likely they are between the players."""
    rounds = np.array([(0, *after) for after in product(range(1, 5), repeat=length)])
    return rounds, joint(one, two)[rounds[:, :-1], rounds[:, 1:] - 1].prod(axis=1)


def truncated_value(own, other, length, bootstrap=(0.0,) * 5, gamma=0.96):
    """Of the first rounds, and a value of the state after them."""
    table, v = joint(own, other), np.array(bootstrap)
    for _ in range(length):
        v = table @ (np.array(PAYOFFS) + gamma * v[1:])
    return v[0]
