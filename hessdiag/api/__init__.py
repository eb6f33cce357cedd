"""One call for other people's work: the spectrum of a loss, the spectra along an inner loop."""

from hessdiag.api.inner_loop import InnerLoopResult, inner_loop_spectra
from hessdiag.api.spectrum import SpectrumResult, spectrum
from hessdiag.inner import OptaxUpdate

__all__ = [
    "InnerLoopResult",
    "OptaxUpdate",
    "SpectrumResult",
    "inner_loop_spectra",
    "spectrum",
]
