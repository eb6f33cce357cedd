"""What the steps of an inner loop multiply perturbations by: its operators and their spectra."""
