"""LOLA in the iterated prisoner's dilemma, exact or sampled (Foerster et al. 2018).

Both players look ahead and both move. η are the players; θ is each as the other imagines it after
its inner updates. θ starts at η, as a constant, and the inner loss of θ_two has η_one alone in it:
θ_two depends on η_one only, and θ_one on η_two only. One outer loss then has both LOLA gradients,

    L' = −V_one(η_one, θ_two) − V_two(θ_one, η_two),

none of a player being differentiated in the other's parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About
from hessdiag.rl import repeated_game
from hessdiag.rl.objectives import EXACT, OBJECTIVES
from hessdiag.rl.repeated_game import STATES, Policy, RepeatedGame, Rounds, seen_by_other
from hessdiag.rl.surrogates import SURROGATES, discounted_return


class Games(NamedTuple):
    """A batch of games between two policies."""

    rounds: Rounds  # as the first one sees them
    values: Float[Array, "2 5"]  # exact, of either player: the baseline, a constant


class Looked(NamedTuple):
    """What either player looks at: games against the other as it imagines it."""

    of_one: Games  # η_one against θ_two
    of_two: Games  # η_two against θ_one


@dataclass(frozen=True)
class IteratedPrisonersDilemma:
    """Two players who remember one round; each differentiates through the other's learning."""

    batch_size: int = setting(128, "games per update and player", "--batch-size", least=1)
    rollout_length: int = setting(100, "rounds of a game", "--rollout-length", least=1)
    inner: str = setting("loaded", "what the imagined opponent ascends", choices=lambda: OBJECTIVES)
    outer: str = setting("loaded", "what a player ascends", choices=lambda: OBJECTIVES)
    gamma: float = setting(0.96, "discount", least=0, below=1)
    punishment: float = setting(-2.0, "payoff where both defect")
    temptation: float = setting(0.0, "payoff to who defects alone")
    sucker: float = setting(-3.0, "payoff to who cooperates alone")
    reward: float = setting(-1.0, "payoff where both cooperate")

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    about = About(
        summary="LOLA in the iterated prisoner's dilemma; both players are meta-learned",
        headline="payoff",
        choices=(
            "Loaded DiCE, where the published players use DiCE: those are of --preset paper. Its "
            "mixed derivatives are far less noisy.",
            "The baseline is the exact value of the policies that were sampled, a constant; in "
            "the published code a critic learns the immediate reward.",
            "Each player samples games of its own, against the opponent that it imagines.",
            "The learning curve is the mean payoff of a round, of both players, before the inner "
            "update.",
        ),
        presets={
            "smoke": {"n": 2, "problem.batch_size": 16, "problem.rollout_length": 20},
            "laptop": {"n": 1, "train.iterations": 200, "probe.n": 3},
            "paper": {
                "n": 1,
                "train.iterations": 500,
                "problem.inner": "dice",
                "problem.outer": "dice",
                "probe.n": 3,
                "probe.points": 9,
            },
        },
    )
    learning = Learning(optimiser="sgd", learning_rate=0.3, meta_learning_rate=0.1, keep="0")

    @property
    def game(self) -> RepeatedGame:
        """Payoffs and discount."""
        payoffs = (self.punishment, self.temptation, self.sucker, self.reward)
        return RepeatedGame(jnp.array(payoffs, float), self.gamma)

    def init_eta(self, key):
        """Even odds in all states, by player and state."""
        del key
        return {player: {state: jnp.zeros(()) for state in STATES} for player in ("one", "two")}

    def hyper(self, eta):
        """The players as they are."""
        return eta

    def start(self, eta, key):
        """Either player as the other imagines it at first: as it is."""
        del key
        one, two = _players(jax.lax.stop_gradient(eta))
        return {"one": one, "two": two}, ()

    def rollout(self, params, hyper, env_state, key):
        """Games of either player against the other as imagined."""
        keys = jax.random.split(key)
        one, two = _players(hyper)
        looked = Looked(
            self._games(one, params["two"], keys[0]), self._games(two, params["one"], keys[1])
        )
        return env_state, looked

    def inner_loss(self, params, hyper, trajectories: Looked):
        """Of the imagined: each descends minus its own return."""
        (one, two), (of_one, of_two) = _players(hyper), trajectories
        imagined_two = self._objective(self.inner, params["two"], one, _turned(of_one))
        imagined_one = self._objective(self.inner, params["one"], two, _turned(of_two))
        return -(imagined_two + imagined_one)

    def outer_loss(self, params, hyper, trajectories: Looked):
        """Of the players: minus the return of each against the other, as imagined."""
        (one, two), (of_one, of_two) = _players(hyper), trajectories
        to_one = self._objective(self.outer, one, params["two"], of_one)
        return -(to_one + self._objective(self.outer, two, params["one"], of_two))

    def outer_value(self, params, hyper, trajectories: Looked):
        """Minus the returns that the outer loss is a surrogate of."""
        (one, two), (of_one, of_two) = _players(hyper), trajectories
        to_one = self._return(one, params["two"], of_one)
        return -(to_one + self._return(two, params["one"], of_two))

    def log_prob(self, params, hyper, trajectories: Looked) -> Float[Array, " B"]:
        """Of the actions of all four in a pair of games."""
        (one, two), (of_one, of_two) = _players(hyper), trajectories
        both = _log_probs(one, params["two"], of_one) + _log_probs(two, params["one"], of_two)
        return jnp.sum(both, axis=-1)

    def metrics(self, params, trajectories: Looked) -> Mapping:
        """Mean payoff of a round and share of cooperation, of both players."""
        del params
        rounds = jnp.concatenate([games.rounds for games in trajectories])
        rounds = jnp.concatenate([rounds, seen_by_other(rounds)])
        return {
            "payoff": jnp.mean(repeated_game.paid(self.game, rounds)),
            "cooperation": jnp.mean(rounds[:, 1:] > 2),
        }

    def _games(self, own, other, key) -> Games:
        rounds = repeated_game.play(own, other, key, self.batch_size, self.rollout_length)
        pairs = ((own, other), (other, own))
        return Games(rounds, jnp.stack([repeated_game.values(self.game, *pair) for pair in pairs]))

    def _objective(self, name: str, own, other, games: Games) -> Float[Array, ""]:
        """What the first player of the games is to ascend."""
        if name == EXACT:
            return repeated_game.values(self.game, own, other)[0]
        log_probs = _log_probs(own, other, games)
        rewards, v = repeated_game.paid(self.game, games.rounds), games.values[0][games.rounds]
        ascended = SURROGATES[name](log_probs, rewards, v, self.gamma)
        return ascended + _baseline(log_probs, v, self.gamma) if name == "dice" else ascended

    def _return(self, own, other, games: Games) -> Float[Array, ""]:
        if self.outer == EXACT:
            return repeated_game.values(self.game, own, other)[0]
        v = None if self.outer == "dice" else games.values[0][games.rounds]
        rewards = repeated_game.paid(self.game, games.rounds)
        return jnp.mean(discounted_return(rewards, v, self.gamma))


def _players(eta) -> tuple[Policy, Policy]:
    """Logits of either player, in the order of states."""
    one, two = (jnp.stack([eta[name][state] for state in STATES]) for name in ("one", "two"))
    return one, two


def _turned(games: Games) -> Games:
    """The same games, the second player's."""
    return Games(seen_by_other(games.rounds), games.values[::-1])


def _log_probs(own, other, games: Games) -> Float[Array, "B T"]:
    """Of both players' actions."""
    ours = repeated_game.log_prob(own, games.rounds)
    return ours + repeated_game.log_prob(other, seen_by_other(games.rounds))


def _baseline(log_probs, v, gamma) -> Float[Array, ""]:
    """Σ γ^t (1 − ρ_t) v(s_t), which is zero on average to all orders: the baseline of DiCE."""
    powers = gamma ** jnp.arange(log_probs.shape[-1])
    rho = jnp.exp(log_probs - jax.lax.stop_gradient(log_probs))
    return jnp.mean(jnp.sum((1 - rho) * v[:, :-1] * powers[None], axis=-1))
