"""What a player of a repeated game is to ascend: its exact value, or a surrogate on games."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.rl import repeated_game
from hessdiag.rl.objectives import EXACT
from hessdiag.rl.repeated_game import Policy, RepeatedGame, Rounds, seen_by_other
from hessdiag.rl.surrogates import CORRECTED, SURROGATES, discounted_return


class Games(NamedTuple):
    """A batch of games between two policies."""

    rounds: Rounds  # as the first one sees them
    values: Float[Array, "2 5"]  # of either player: the baseline, a constant
    behaviour: Float[Array, "B T"] | None = None  # log-probabilities; None: as the policies play


def turned(games: Games) -> Games:
    """The same games, the second player's."""
    return games._replace(rounds=seen_by_other(games.rounds), values=games.values[::-1])


def objective(
    name: str, game: RepeatedGame, own: Policy, other: Policy, games: Games
) -> Float[Array, ""]:
    """V to the first player where the name is `EXACT`, else the surrogate of that name.

    Games of other policies have importance weights; those surrogates alone that have ratios of
    whole games, `CORRECTED`, take them.
    """
    if name == EXACT:
        return repeated_game.values(game, own, other)[0]
    log_probs = played(own, other, games.rounds)
    rewards, v = repeated_game.paid(game, games.rounds), games.values[0][games.rounds]
    of_others = {"behaviour": games.behaviour} if name in CORRECTED else {}
    ascended = SURROGATES[name](log_probs, rewards, v, game.discount, **of_others)
    if name != "dice":
        return ascended
    return ascended + _baseline(log_probs, v, game.discount, games.behaviour)


def estimated_return(
    name: str, game: RepeatedGame, own: Policy, other: Policy, games: Games
) -> Float[Array, ""]:
    """The return whose derivative that of `objective` is, or estimates, on the policies' games."""
    if name == EXACT:
        return repeated_game.values(game, own, other)[0]
    v = None if name == "dice" else games.values[0][games.rounds]
    return jnp.mean(discounted_return(repeated_game.paid(game, games.rounds), v, game.discount))


def played(own: Policy, other: Policy, rounds: Rounds) -> Float[Array, "B T"]:
    """Log-probabilities of both players' actions."""
    ours = repeated_game.log_prob(own, rounds)
    return ours + repeated_game.log_prob(other, seen_by_other(rounds))


def _baseline(log_probs, v, discount, behaviour) -> Float[Array, ""]:
    """Σ γ^t (1 − ρ_t) v(s_t), which is zero on average to all orders: the baseline of DiCE."""
    powers = discount ** jnp.arange(log_probs.shape[-1])
    behaviour = jax.lax.stop_gradient(log_probs if behaviour is None else behaviour)
    rho = jnp.exp(log_probs - behaviour)
    return jnp.mean(jnp.sum((1 - rho) * v[:, :-1] * powers[None], axis=-1))
