"""Studies of bias: plans, references, measurements, and what is concluded."""
