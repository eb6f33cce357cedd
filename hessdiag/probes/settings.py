"""What is measured at a probe, and how exactly."""

from collections.abc import Iterable
from dataclasses import dataclass

from hessdiag.declared import setting


def _counterfactuals() -> Iterable[str]:
    from hessdiag.inner import CUTS

    return [name for name in CUTS if name != "full"]


def _operators() -> Iterable[str]:
    from hessdiag.probes.inner_loop import ALL_OPERATORS

    return ALL_OPERATORS


@dataclass(frozen=True)
class ProbeSettings:
    """What is measured, where, and how exactly."""

    points: int = setting(
        3, "number of probes, evenly spaced inside training; 0 for none", flag="--probes", least=0
    )
    at: tuple[int, ...] = setting((), "iterations to probe at, instead of points", least=0)
    n: int = setting(
        0, "longest horizon measured; 0 for that of training", flag="--probe-n", least=0
    )
    samples: int = setting(
        16, "K, independent meta-gradients per probe", flag="--samples -K", least=2
    )
    chunk: int = setting(
        1,
        "meta-gradients computed at once, of samples, or of seeds that train together; bounds "
        "memory",
        flag="--chunk",
        least=1,
    )
    unrolls: int = setting(2, "on how many of the K unrolls spectra are measured", least=1)
    operators: tuple[str, ...] = setting(
        ("paper", "preconditioned", "update", "augmented"),
        "operators besides the Hessian and I + H: of preconditioned, update, augmented, and "
        "semi-gradient where the problem has bootstrap targets; or none",
        flag="--operators",
        choices=_operators,
    )
    products: bool = setting(
        True, "norms of the operators' products over inner steps", flag="--products/--no-products"
    )
    operator_unrolls: int = setting(
        1, "on how many of these unrolls the operators and products are measured", least=0
    )
    departure_probes: int = setting(
        4, "random vectors behind each departure from normality", least=2
    )
    starts: int = setting(2, "random Lanczos start vectors per spectrum", least=1)
    min_matvecs: int = setting(
        0,
        "Hessian-vector products per start at the least: ends converge early, and the density "
        "wants more",
        least=0,
    )
    max_matvecs: int = setting(48, "Hessian-vector products per start at the most", least=2)
    tolerance: float = setting(
        1e-3, "residual at which both ends count as converged, relative to the norm", above=0
    )
    counterfactuals: tuple[str, ...] = setting(
        (),
        "cuts to measure beside the full meta-gradient: of no-hessian, no-memory, neither, trace, "
        "stable-hessian, as-sgd; all; or none",
        flag="--counterfactuals",
        choices=_counterfactuals,
    )
    horizons: tuple[int, ...] = setting((), "horizons to measure them at; none means all up to n")
    explanations: tuple[str, ...] = setting(
        (),
        "of your own, beside the built-in ones: module:function each, from the Evidence of a probe "
        "to an Interval or None",
    )
    nested: int = setting(
        0,
        "samples behind the shares of the variance by source; 0 for none",
        flag="--nested",
        least=0,
    )
    resamples: int = setting(
        2000, "bootstrap resamples behind every confidence interval", least=100
    )
    confidence: float = setting(0.95, "level of the confidence intervals", above=0, below=1)
