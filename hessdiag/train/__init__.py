"""Training with probes: settings, the loop, checkpoints and the run directory."""
