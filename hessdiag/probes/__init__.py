"""What is measured at a training state."""
