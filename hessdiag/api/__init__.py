"""For other people's work: spectra of a loss or an inner loop, probes of a training loop."""

from hessdiag.api.inner_loop import InnerLoopResult, inner_loop_spectra
from hessdiag.api.own_loop import Probe, diagnose
from hessdiag.api.spectrum import spectrum
from hessdiag.api.spectrum_result import SpectrumInterrupted, SpectrumResult
from hessdiag.api.trainable import trainable
from hessdiag.inner import OptaxUpdate

__all__ = [
    "InnerLoopResult",
    "OptaxUpdate",
    "Probe",
    "SpectrumInterrupted",
    "SpectrumResult",
    "diagnose",
    "inner_loop_spectra",
    "spectrum",
    "trainable",
]
