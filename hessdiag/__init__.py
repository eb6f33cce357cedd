"""Hessian spectral diagnostics for meta-gradient reinforcement learning."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hessdiag.api import (
        InnerLoopResult,
        OptaxUpdate,
        Probe,
        SpectrumInterrupted,
        SpectrumResult,
        diagnose,
        inner_loop_spectra,
        spectrum,
        trainable,
    )
    from hessdiag.report.diagnosis import Diagnosis, open_run, open_study

    __version__: str

__all__ = [
    "Diagnosis",
    "InnerLoopResult",
    "OptaxUpdate",
    "Probe",
    "SpectrumInterrupted",
    "SpectrumResult",
    "__version__",
    "diagnose",
    "inner_loop_spectra",
    "open_run",
    "open_study",
    "spectrum",
    "trainable",
]

_WITHOUT_JAX = ("Diagnosis", "open_run", "open_study")


def __getattr__(name: str) -> Any:
    """The front door, imported when it is first used: the command line starts without JAX."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hessdiag")
    if name not in __all__:
        raise AttributeError(f"module 'hessdiag' has no attribute {name!r}")
    module = "hessdiag.report.diagnosis" if name in _WITHOUT_JAX else "hessdiag.api"
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return __all__
