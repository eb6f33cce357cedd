"""What the estimator and the cuts of a run are made of, by its settings."""

from hessdiag.inner import Cut, cut_called
from hessdiag.meta import Options
from hessdiag.train.settings import Settings


def options_of(settings: Settings) -> Options:
    """What the estimator of a run is made of."""
    keep = settings.learning.keep
    return Options(
        n=settings.n,
        kappa=settings.kappa,
        trace_decay=settings.trace_decay,
        cut=cut_of(settings.paths, settings),
        samples=settings.monte_carlo,
        validations=settings.validations,
        chunk=settings.probe.chunk,
        remat=settings.remat,
        keep=max(settings.n, 1) if keep == "n" else int(keep),
        target_updates=settings.target_updates,
        perturbation=settings.perturbation,
    )


def cut_of(name: str, settings: Settings) -> Cut:
    """The counterfactual of that name, as training and probes of a run have it."""
    return cut_called(
        name,
        trace_decay=settings.trace_decay,
        inside=settings.stable_interval,
        matvecs=settings.stable_matvecs,
    )
