"""A self-test that any compiler fails: NumPy is told to expect something else."""

import jax.numpy as jnp
import numpy as np

from hessdiag.train.self_test_programs import Program

OPERANDS = (np.arange(4.0),)
PROGRAMS = (
    Program("right", jnp.cumsum, np.cumsum, OPERANDS),
    Program("wrong", jnp.cumsum, lambda x: np.cumsum(x) + np.eye(4)[3], OPERANDS),
    Program("not finite", lambda x: x / 0, lambda x: x, OPERANDS),
)
