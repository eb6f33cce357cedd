"""Spectra of every operator along an inner loop."""

from hessdiag.probes.inner_loop.labelled import inner_loop_variables, operator_names
from hessdiag.probes.inner_loop.loop import InnerLoop
from hessdiag.probes.inner_loop.measured import InnerLoopSpectra
from hessdiag.probes.inner_loop.norms import gradient_path
from hessdiag.probes.inner_loop.settings import ALL_OPERATORS, OPERATORS, InnerLoopSettings

__all__ = [
    "ALL_OPERATORS", "OPERATORS", "InnerLoop", "InnerLoopSettings", "InnerLoopSpectra",
    "gradient_path", "inner_loop_variables", "operator_names",
]  # fmt: skip
