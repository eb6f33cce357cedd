"""What is measured at a probe, and how exactly."""

from dataclasses import dataclass

from hessdiag.probes.inner_loop.settings import OPERATORS


@dataclass(frozen=True)
class ProbeSettings:
    """What is measured, where, and how exactly.

    Attributes:
        points: number of probes, evenly spaced inside training; 0 for none.
        at: iterations to probe at, instead of `points`.
        n: the longest horizon measured; 0 for that of training.
        samples: K, independent meta-gradients per probe.
        chunk: meta-gradients computed at once, of samples, or of seeds that train together; bounds
            memory.
        unrolls: on how many of the K unrolls spectra are measured.
        operators: which operators besides the Hessian and I + H: preconditioned, update, augmented;
            semi-gradient where the problem has bootstrap targets.
        products: whether to measure the norms of the operators' products, too.
        operator_unrolls: on how many of these unrolls the operators and products are measured.
        departure_probes: random vectors behind each departure from normality.
        starts: random Lanczos start vectors per spectrum.
        min_matvecs: Hessian-vector products per start at the least: ends converge early, and the
            density wants more.
        max_matvecs: Hessian-vector products per start at the most.
        tolerance: residual at which both ends count as converged, relative to the norm.
        counterfactuals: which cuts to measure beside the full meta-gradient: no-hessian, no-memory,
            neither, trace, stable-hessian, as-sgd.
        horizons: at which horizons to measure them; none means all up to `n`.
        explanations: of the user's own, beside the built-in ones: ``module:function`` each, from
            `hessdiag.variance.Evidence` to an `Interval` or None.
        nested: samples behind the shares of the variance by source; 0 for none.
        resamples: bootstrap resamples behind every confidence interval.
        confidence: level of the confidence intervals.
    """

    points: int = 3
    at: tuple[int, ...] = ()
    n: int = 0
    samples: int = 16
    chunk: int = 1
    unrolls: int = 2
    operators: tuple[str, ...] = OPERATORS
    products: bool = True
    operator_unrolls: int = 1
    departure_probes: int = 4
    starts: int = 2
    min_matvecs: int = 0
    max_matvecs: int = 48
    tolerance: float = 1e-3
    counterfactuals: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    explanations: tuple[str, ...] = ()
    nested: int = 0
    resamples: int = 2000
    confidence: float = 0.95
