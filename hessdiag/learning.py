"""How a problem is learned, unless flags or a TOML file say otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass

from hessdiag.declared import setting


def _transforms() -> Iterable[str]:
    from hessdiag.problems.scalars import TRANSFORMS

    return TRANSFORMS


@dataclass(frozen=True)
class Learning:
    """Optimisers and rates, as a problem recommends them."""

    optimiser: str = setting(
        "adam",
        "inner optimiser: adam, sgd, momentum, rmsprop, or module:function of your own, which "
        "makes an optax optimiser of the learning rate, such as optax:lion",
        flag="--optimiser",
    )
    b1: float | None = setting(
        None,
        "decay of its averaged gradient (Adam, momentum); its own default where not given",
        least=0,
        below=1,
    )
    b2: float | None = setting(
        None, "decay of its averaged squares (Adam, RMSProp); as above", least=0, below=1
    )
    eps: float | None = setting(
        None, "constant ε, outside Adam's root and inside RMSProp's; as above", above=0
    )
    learning_rate: float = setting(
        1e-3, "inner learning rate α at the start", flag="--learning-rate", above=0
    )
    schedule: str = setting(
        "constant",
        "of the inner learning rate: linear anneals it to 0 over training",
        choices=lambda: ("constant", "linear"),
    )
    clip_norm: float = setting(
        0.0, "the inner gradient is clipped to this global norm; 0 for none", least=0
    )
    meta_learning_rate: float = setting(
        1e-3, "learning rate β of the meta-optimiser, Adam", flag="--meta-learning-rate", above=0
    )
    meta_clip_norm: float = setting(
        0.0, "the meta-gradient is clipped to this global norm; 0 for none", least=0
    )
    transform: str | None = setting(
        None,
        "from η to all meta-parameters; the problem's own where not given",
        choices=_transforms,
    )
    keep: str = setting(
        "1",
        "what training keeps of an unroll of n inner updates: 1, the first; n, all; 0, none, so "
        "that every unroll starts again",
        choices=lambda: ("0", "1", "n"),
    )
