"""Hessian spectral diagnostics for meta-gradient reinforcement learning."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hessdiag.api.inner_loop import InnerLoopResult, inner_loop_spectra
    from hessdiag.api.own_loop import Probe, diagnose
    from hessdiag.api.spectrum import spectrum
    from hessdiag.api.spectrum_result import SpectrumInterrupted, SpectrumResult
    from hessdiag.api.trainable import trainable
    from hessdiag.inner import OptaxUpdate
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

_HOMES = {
    "api.inner_loop": ("InnerLoopResult", "inner_loop_spectra"),
    "api.own_loop": ("Probe", "diagnose"),
    "api.spectrum": ("spectrum",),
    "api.spectrum_result": ("SpectrumInterrupted", "SpectrumResult"),
    "api.trainable": ("trainable",),
    "inner": ("OptaxUpdate",),
    "report.diagnosis": ("Diagnosis", "open_run", "open_study"),
}


def __getattr__(name: str) -> Any:
    """The front door, imported name by name: the command line starts without JAX."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hessdiag")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"hessdiag.{home}"), name)
    raise AttributeError(f"module 'hessdiag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
