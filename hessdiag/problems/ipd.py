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
from hessdiag.errors import UsageError
from hessdiag.learning import Learning
from hessdiag.problems.base import About
from hessdiag.rl import lookahead, repeated_game, reward_critic
from hessdiag.rl.game_objectives import estimated_return, objective, turned
from hessdiag.rl.lookahead import Four, Looked, Pair, Values
from hessdiag.rl.objectives import EXACT, OBJECTIVES
from hessdiag.rl.repeated_game import STATES, Policy, RepeatedGame, seen_by_other
from hessdiag.rl.replay import Replay
from hessdiag.rl.reward_critic import RewardCritic
from hessdiag.rl.surrogates import CORRECTED, spliced

SAME = "same"


class Carried(NamedTuple):
    """What goes on from one iteration to the next, besides the players."""

    replay: Replay | None
    critic: RewardCritic | None


@dataclass(frozen=True)
class IteratedPrisonersDilemma:
    """Two players who remember one round; each differentiates through the other's learning."""

    batch_size: int = setting(128, "games per update and player", "--batch-size", least=1)
    inner_batch_size: int = setting(0, "games behind an inner update; 0: batch_size", least=0)
    hessian_batch_size: int = setting(
        0, "games of their own behind its derivative; 0: those behind the update", least=0
    )
    rollout_length: int = setting(100, "rounds of a game", "--rollout-length", least=1)
    inner: str = setting("loaded", "what the imagined opponent ascends", choices=lambda: OBJECTIVES)
    hessian: str = setting(
        SAME,
        "what its updates are differentiated as; same: as what it ascends",
        choices=lambda: (SAME, *OBJECTIVES),
    )
    outer: str = setting("loaded", "what a player ascends", choices=lambda: OBJECTIVES)
    critic: str = setting(
        EXACT,
        "the baseline: exact values, or what it learns, rewards of a round",
        choices=lambda: (EXACT, "reward"),
    )
    buffer_size: int = setting(
        0, "games that are kept, for inner updates off the policy; 0: none", least=0
    )
    off_policy: str = setting(
        "both",
        "what is made of the games kept: inner updates, their derivative (hessian), both",
        choices=lambda: ("both", "inner", "hessian"),
    )
    drift: float = setting(
        0.0, "standard deviation of the first kept games' logits, about the players'", least=0
    )
    spread: float = setting(0.0, "standard deviation of the logits at the start", least=0)
    gamma: float = setting(0.96, "discount", least=0, below=1)
    punishment: float = setting(-2.0, "payoff where both defect")
    temptation: float = setting(0.0, "payoff to who defects alone")
    sucker: float = setting(-3.0, "payoff to who cooperates alone")
    reward: float = setting(-1.0, "payoff where both cooperate")

    def __post_init__(self):
        """Refuse what the fields do not allow, by themselves or together."""
        check_fields(self, "problem.")
        if self.buffer_size:
            self._check_buffer()

    about = About(
        summary="LOLA in the iterated prisoner's dilemma; both players are meta-learned",
        headline="payoff",
        choices=(
            "Loaded DiCE, where the published players use DiCE: those are of --preset paper. Its "
            "mixed derivatives are far less noisy.",
            "The baseline is the exact value of the policies that were sampled, a constant. In "
            "the published code a critic learns the immediate reward, from the games of the outer "
            "loss: problem.critic reward, which learns from those before the inner update.",
            "Each player samples games of its own, against the opponent that it imagines.",
            "All games before an inner update enter the buffer once; in the published code those "
            "of the update and of its derivative do.",
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
                "problem.critic": "reward",
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

    @property
    def carries(self) -> bool:
        """Whether anything goes on where unrolls start again."""
        return self.buffer_size > 0 or self.critic != EXACT

    def init_eta(self, key):
        """Even odds in all states, by player and state; or spread about them."""
        keys = jax.random.split(key, (2, len(STATES)))

        def logit(key):
            return self.spread * jax.random.normal(key) if self.spread else jnp.zeros(())

        return {
            player: {state: logit(keys[i, j]) for j, state in enumerate(STATES)}
            for i, player in enumerate(("one", "two"))
        }

    def hyper(self, eta):
        """The players as they are."""
        return eta

    def start(self, eta, key):
        """Either player as the other imagines it at first: as it is."""
        one, two = _players(jax.lax.stop_gradient(eta))
        imagined = {"one": one, "two": two}
        if not self.carries:
            return imagined, ()
        critic = None if self.critic == EXACT else reward_critic.untaught()
        if not self.buffer_size:
            return imagined, Carried(None, critic)
        sizes = {"number": self.buffer_size, "length": self.rollout_length}
        return imagined, Carried(lookahead.filled(one, two, key, drift=self.drift, **sizes), critic)

    def rollout(self, params, hyper, env_state, key):
        """Games of either player against the other as imagined."""
        keys, four = jax.random.split(key, 4), _four(params, hyper)
        values, length = self._values(four, env_state), self.rollout_length
        number = self.inner_batch_size or self.batch_size
        fresh, apart = lookahead.drawn(four, values, keys[:2], number, length), None
        if self.hessian_batch_size:
            apart = lookahead.drawn(four, values, keys[2:], self.hessian_batch_size, length)
        if not self.carries:
            return env_state, Looked(*fresh, hessian=apart)
        held, critic = env_state
        if critic is not None:  # the values of these games are from before
            critic = reward_critic.taught(critic, self.game, [games.rounds for games in fresh])
        if held is None:
            return Carried(None, critic), Looked(*fresh, hessian=apart)
        held = lookahead.with_games(held, four, fresh)
        kept = lookahead.kept(held, values)
        return Carried(held, critic), self._off_policy(fresh, apart, kept)

    def validation_rollout(self, params, hyper, env_state, key):
        """The same for the outer loss, of its own number."""
        keys, four = jax.random.split(key), _four(params, hyper)
        values = self._values(four, env_state)
        pair = lookahead.drawn(four, values, keys, self.batch_size, self.rollout_length)
        return env_state, Looked(*pair)

    def inner_loss(self, params, hyper, trajectories: Looked):
        """Of the imagined: each descends minus its own return, differentiated as the setting."""
        one, two = _players(hyper)
        learned = trajectories.inner or (trajectories.of_one, trajectories.of_two)

        def loss(name: str, games: Pair):
            def of(params):
                imagined_two = objective(name, self.game, params["two"], one, turned(games[0]))
                imagined_one = objective(name, self.game, params["one"], two, turned(games[1]))
                return -(imagined_two + imagined_one)

            return of

        if self._hessian == self.inner and trajectories.hessian is None:
            return loss(self.inner, learned)(params)
        differentiated = loss(self._hessian, trajectories.hessian or learned)
        return spliced(loss(self.inner, learned), differentiated)(params)

    def outer_loss(self, params, hyper, trajectories: Looked):
        """Of the players: minus the return of each against the other, as imagined."""
        return -self._outer(objective, params, hyper, trajectories)

    def outer_value(self, params, hyper, trajectories: Looked):
        """Minus the returns that the outer loss is a surrogate of."""
        return -self._outer(estimated_return, params, hyper, trajectories)

    def log_prob(self, params, hyper, trajectories: Looked) -> Float[Array, " B"]:
        """Of the actions of all four in a pair of games; those kept from before are constants."""
        four, (of_one, of_two, _, hessian) = _four(params, hyper), trajectories
        each = [lookahead.log_probs(four, (of_one, of_two))]
        if self.hessian_batch_size and hessian is not None:
            each.append(lookahead.log_probs(four, hessian))
        return jnp.sum(jnp.concatenate(each), axis=-1)

    def metrics(self, params, trajectories: Looked) -> Mapping:
        """Mean payoff of a round and share of cooperation, of both players."""
        del params
        of_one, of_two, *_ = trajectories
        rounds = jnp.concatenate([of_one.rounds, of_two.rounds])
        rounds = jnp.concatenate([rounds, seen_by_other(rounds)])
        return {
            "payoff": jnp.mean(repeated_game.paid(self.game, rounds)),
            "cooperation": jnp.mean(rounds[:, 1:] > 2),
        }

    @property
    def _hessian(self) -> str:
        return self.inner if self.hessian == SAME else self.hessian

    def _check_buffer(self) -> None:
        """Refuse what cannot be learned off the policy."""
        number = 2 * (self.inner_batch_size or self.batch_size)
        if self.buffer_size < number:
            raise UsageError(
                f"problem.buffer_size: {self.buffer_size} is not allowed with {number} games an "
                f"update; allowed: 0, or {number} or more"
            )
        parts = ("inner", "hessian") if self.off_policy == "both" else (self.off_policy,)
        for part in parts:
            name = self.inner if part == "inner" else self._hessian
            if name not in (EXACT, *CORRECTED):
                raise UsageError(
                    f"problem.{part}: {name!r} is not allowed off the policy; allowed: "
                    f"{', '.join((EXACT, *CORRECTED))}"
                )
        if "hessian" in parts and self.hessian_batch_size:
            raise UsageError(
                f"problem.hessian_batch_size: {self.hessian_batch_size} is not allowed where the "
                "derivative is made of games kept; allowed: 0, or problem.off_policy inner"
            )

    def _values(self, four: Four, env_state) -> Values:
        """Baselines: exact, or those that the critic has learned."""
        if self.critic == EXACT:
            return lookahead.exact_values(self.game, four)
        values = env_state.critic.values
        return values, values[::-1]

    def _off_policy(self, fresh: Pair, apart: Pair | None, kept: Pair) -> Looked:
        """Fresh games, and those kept where the setting says so."""
        if self.off_policy == "both":
            return Looked(*fresh, inner=kept)
        if self.off_policy == "inner":
            return Looked(*fresh, inner=kept, hessian=apart or fresh)
        return Looked(*fresh, hessian=kept)

    def _outer(self, of, params, hyper, trajectories: Looked) -> Float[Array, ""]:
        sides, games = _four(params, hyper).sides, (trajectories.of_one, trajectories.of_two)
        to_one, to_two = (
            of(self.outer, self.game, *side, of_side)
            for side, of_side in zip(sides, games, strict=True)
        )
        return to_one + to_two


def _four(params, eta) -> Four:
    """The players, and the players as imagined."""
    return Four(*_players(eta), params["one"], params["two"])


def _players(eta) -> tuple[Policy, Policy]:
    """Logits of either player, in the order of states."""
    one, two = (jnp.stack([eta[name][state] for state in STATES]) for name in ("one", "two"))
    return one, two
