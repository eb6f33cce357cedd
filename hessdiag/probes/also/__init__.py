"""What a probe measures besides meta-gradients and spectra, where it is asked for."""

from hessdiag.probes.also.registry import ALSO, AlsoMeasured

__all__ = ["ALSO", "AlsoMeasured"]
