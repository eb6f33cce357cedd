"""Bias and variance of meta-gradients against exact ones, over sweeps of a setting."""
