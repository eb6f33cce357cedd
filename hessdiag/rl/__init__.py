"""Building blocks shared by the problems: returns, losses, networks, rollouts."""
