"""A self-test that crashes, as wrong compilers do."""

import os

import jax.numpy as jnp
import numpy as np

from hessdiag.train.self_test_programs import Program

PROGRAMS = (Program("crashes", lambda x: os.abort() or jnp.sin(x), np.sin, (np.arange(4.0),)),)
