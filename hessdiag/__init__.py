"""Hessian spectral diagnostics for meta-gradient reinforcement learning."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hessdiag.api import (
        InnerLoopResult,
        OptaxUpdate,
        SpectrumResult,
        inner_loop_spectra,
        spectrum,
    )

__all__ = ["InnerLoopResult", "OptaxUpdate", "SpectrumResult", "inner_loop_spectra", "spectrum"]


def __getattr__(name: str) -> Any:
    """The front door, imported when it is first used: the command line starts without JAX."""
    if name not in __all__:
        raise AttributeError(f"module 'hessdiag' has no attribute {name!r}")
    import hessdiag.api

    return getattr(hessdiag.api, name)
