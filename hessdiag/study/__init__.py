"""Grids of runs: planned, run one by one, resumable, and never stopped by one that fails."""
