"""Games of two players, each against the other as it imagines it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.rl import repeated_game, replay
from hessdiag.rl.game_objectives import Games, played
from hessdiag.rl.repeated_game import STATES, Policy, RepeatedGame, seen_by_other
from hessdiag.rl.replay import Replay

Pair = tuple[Games, Games]
"""Games of player one against two as imagined, and of player two against one as imagined."""
Values = tuple[Float[Array, "2 5"], Float[Array, "2 5"]]
"""Baselines of either, those of whose games they are first."""


class Four(NamedTuple):
    """Both players, and both as the other imagines them."""

    one: Policy
    two: Policy
    imagined_one: Policy
    imagined_two: Policy

    @property
    def sides(self) -> tuple[tuple[Policy, Policy], tuple[Policy, Policy]]:
        """Who plays whom: oneself first."""
        return (self.one, self.imagined_two), (self.two, self.imagined_one)


class Looked(NamedTuple):
    """What either player looks at: games against the other as it imagines it."""

    of_one: Games  # player one against two as imagined
    of_two: Games  # player two against one as imagined
    inner: Pair | None = None  # what inner updates learn from; None: from these
    hessian: Pair | None = None  # what they are differentiated on; None: on the same


def exact_values(game: RepeatedGame, four: Four) -> Values:
    """Of either pair of policies, to both."""

    def of(own, other):
        pairs = ((own, other), (other, own))
        return jnp.stack([repeated_game.values(game, *pair) for pair in pairs])

    one, two = four.sides
    return of(*one), of(*two)


def drawn(four: Four, values: Values, keys: PRNGKeyArray, number: int, length: int) -> Pair:
    """So many games of either, from a key each."""
    one, two = (
        Games(repeated_game.play(*side, key, number, length), of)
        for side, of, key in zip(four.sides, values, keys, strict=True)
    )
    return one, two


def log_probs(four: Four, pair: Pair) -> Float[Array, "B T"]:
    """Of the actions of all four in a pair of games."""
    one, two = (played(*side, games.rounds) for side, games in zip(four.sides, pair, strict=True))
    return one + two


def filled(
    one: Policy, two: Policy, key: PRNGKeyArray, *, drift: float, number: int, length: int
) -> Replay:
    """Games of players about these, their logits off by normal numbers."""
    drift_key, key = jax.random.split(key)
    off = drift * jax.random.normal(drift_key, (2, len(STATES)))
    one, two = one + off[0], two + off[1]
    rounds = repeated_game.play(one, two, key, number, length)
    return Replay(rounds, played(one, two, rounds))


def with_games(held: Replay, four: Four, pair: Pair) -> Replay:
    """The buffer with the games just played, of both."""
    seen = (pair[0].rounds, seen_by_other(pair[1].rounds))
    by = (four.sides[0], (four.imagined_one, four.two))
    for players, rounds in zip(by, seen, strict=True):
        held = replay.added(held, rounds, played(*players, rounds))
    return held


def kept(held: Replay, values: Values) -> Pair:
    """The buffer as either player sees it."""
    rounds, behaviour = held
    as_two = Games(seen_by_other(rounds), values[1], behaviour)
    return Games(rounds, values[0], behaviour), as_two
