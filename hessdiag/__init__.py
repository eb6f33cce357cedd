"""Hessian spectral diagnostics for meta-gradient reinforcement learning."""
