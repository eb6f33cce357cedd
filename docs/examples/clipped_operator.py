"""An operator of one's own: gradient descent with the inner gradient clipped."""

from hessdiag.inner import InnerStep
from hessdiag.spectra import Operator, identity_plus


def clipped(step: InnerStep) -> Operator:
    """I − α c ∇²L, with c what clipping multiplies the length of the gradient by."""
    assert step.learning_rate is not None
    return identity_plus(-step.learning_rate * (step.clip_ratio * step.hessian))
