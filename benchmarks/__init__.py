"""What is claimed about speed, measured: ratios within one run, never absolute promises."""
