"""What is measured at a probe, and how exactly."""

from dataclasses import dataclass

from hessdiag.declared import names_in, setting


@dataclass(frozen=True)
class ProbeSettings:
    """What is measured, where, and how exactly."""

    points: int = setting(
        3, "number of probes, evenly spaced inside training", "--probes", least=0, most=100_000
    )
    at: tuple[int, ...] = setting((), "iterations to probe at, instead of points", least=0)
    n: int = setting(
        0, "longest horizon measured; 0 for training's", "--probe-n", least=0, most=10_000
    )
    samples: int = setting(16, "K, independent meta-gradients per probe", "--samples -K", least=2)
    chunk: int = setting(
        1, "samples, or seeds, computed at once; bounds memory", "--chunk", least=1
    )
    unrolls: int = setting(2, "of the K unrolls, how many spectra are measured on", least=1)
    operators: tuple[str, ...] = setting(
        ("paper", "preconditioned", "update", "augmented"),
        "operators beside the Hessian: of paper, preconditioned, update, augmented, and "
        "semi-gradient where there are bootstrap targets",
        "--operators",
        choices=names_in("hessdiag.probes.inner_loop", "ALL_OPERATORS"),
    )
    products: bool = setting(True, "norms of products over inner steps", "--products/--no-products")
    operator_unrolls: int = setting(1, "of the unrolls, how many have all operators", least=0)
    departure_probes: int = setting(
        4, "random vectors behind a departure from normality", least=2, most=1000
    )
    starts: int = setting(2, "random Lanczos start vectors per spectrum", least=1, most=1000)
    min_matvecs: int = setting(
        0, "Hessian products per start at the least; the density wants many", least=0
    )
    max_matvecs: int = setting(48, "Hessian products per start at the most", least=2)
    tolerance: float = setting(1e-3, "relative residual at which ends count as converged", above=0)
    counterfactuals: tuple[str, ...] = setting(
        (),
        "cuts to measure: of no-hessian, no-memory, no-first-moment, no-second-moment, neither, "
        "trace, stable-hessian, as-sgd; or all",
        "--counterfactuals",
        choices=names_in("hessdiag.inner", "COUNTERFACTUALS"),
    )
    horizons: tuple[int, ...] = setting((), "horizons of cuts; none means all up to n")
    also: tuple[str, ...] = setting(
        (),
        "what else to measure: of twins, singular-values, smoothness, estimators, and "
        "loss-terms where the inner loss has terms",
        "--also",
        choices=names_in("hessdiag.probes.also", "ALSO"),
    )
    explanations: tuple[str, ...] = setting((), "of your own, each module:function")
    nested: int = setting(0, "samples behind shares of the variance; 0: none", "--nested", least=0)
    resamples: int = setting(2000, "bootstrap resamples behind an interval", least=100)
    confidence: float = setting(0.95, "level of the confidence intervals", above=0, below=1)
