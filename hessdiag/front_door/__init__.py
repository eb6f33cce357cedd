"""One call for other people's work: the spectrum of a loss, the spectra along an inner loop."""

from hessdiag.front_door.inner_loop import InnerLoopResult, inner_loop_spectra
from hessdiag.front_door.optax_update import OptaxUpdate
from hessdiag.front_door.spectrum import SpectrumResult, spectrum

__all__ = [
    "InnerLoopResult",
    "OptaxUpdate",
    "SpectrumResult",
    "inner_loop_spectra",
    "spectrum",
]
