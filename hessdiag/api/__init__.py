"""For other people's work: spectra of a loss or an inner loop, probes of a training loop."""
