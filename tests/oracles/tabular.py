"""Exact values of a softmax policy in a tabular process, in NumPy.

Functions take complex logits, too: derivatives by complex steps are exact to rounding.
"""

import numpy as np


def policy(theta):
    """The softmax of every row."""
    weights = np.exp(theta)
    return weights / weights.sum(axis=1, keepdims=True)


def value(transitions, rewards, gamma, theta):
    """V(s_0)."""
    probs = policy(theta)
    onward = np.einsum("sa,sat->st", probs, transitions)
    return np.linalg.solve(np.eye(len(rewards)) - gamma * onward, (probs * rewards).sum(axis=1))[0]


def slope(transitions, rewards, gamma, theta):
    """∂V(s_0)/∂θ by the policy gradient theorem: occupancy times π times advantage."""
    probs = policy(theta)
    onward = np.einsum("sa,sat->st", probs, transitions)
    resolvent = np.linalg.inv(np.eye(len(rewards)) - gamma * onward)
    v = resolvent @ (probs * rewards).sum(axis=1)
    return resolvent[0][:, None] * probs * (rewards + gamma * transitions @ v - v[:, None])


def ascended(transitions, rewards, gamma, theta, rate, updates):
    """θ after exact policy gradient steps."""
    for _ in range(updates):
        theta = theta + rate * slope(transitions, rewards, gamma, theta)
    return theta
