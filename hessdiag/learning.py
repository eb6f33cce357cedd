"""How a problem is learned, unless flags or a TOML file say otherwise."""

from dataclasses import dataclass

from hessdiag.declared import names_in, setting

OPTIMISERS = "adam, sgd, momentum, rmsprop, or module:function of your own, such as optax:lion"


@dataclass(frozen=True)
class Learning:
    """Optimisers and rates.

    An optimiser of one's own is called with the learning rate and those of its constants that are
    set, and makes an optax optimiser.
    """

    optimiser: str = setting("adam", f"inner optimiser: {OPTIMISERS}", "--optimiser")
    b1: float | None = setting(None, "its decay of averaged gradients", least=0, below=1)
    b2: float | None = setting(None, "its decay of averaged squares", least=0, below=1)
    eps: float | None = setting(None, "its ε: outside Adam's root, inside RMSProp's", above=0)
    learning_rate: float = setting(1e-3, "inner learning rate at first", "--learning-rate", above=0)
    schedule: str = setting(
        "constant", "linear anneals it to 0 over training", choices=lambda: ("constant", "linear")
    )
    clip_norm: float = setting(0.0, "largest norm of inner gradients; 0 for any", least=0)
    meta_learning_rate: float = setting(
        1e-3, "learning rate of the meta-optimiser, Adam", "--meta-learning-rate", above=0
    )
    meta_clip_norm: float = setting(0.0, "largest norm of meta-gradients; 0 for any", least=0)
    meta_eps_root: float = setting(0.0, "the meta-optimiser's ε inside the root", least=0)
    transform: str | None = setting(
        None,
        "from η to every meta-parameter; the problem's own if not given",
        choices=names_in("hessdiag.problems.scalars", "TRANSFORMS"),
    )
    keep: str = setting(
        "1",
        "what training keeps of an unroll of n inner updates: 1, the first; n, all; 0, none",
        choices=lambda: ("0", "1", "n"),
    )
