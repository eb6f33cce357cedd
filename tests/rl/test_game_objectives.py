"""Games of other policies with importance weights, by enumeration of all short games."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.rl.game_objectives import Games, objective, turned
from hessdiag.rl.repeated_game import RepeatedGame
from tests.oracles import dilemma

pytestmark = pytest.mark.usefixtures("x64")

OWN, OTHER = np.array([0.3, -1.0, 0.8, 0.5, -0.4]), np.array([-0.7, 0.5, 0.2, -0.9, 0.1])
AWAY = np.array([[1.0, -0.6, 0.4, -1.2, 0.9], [-0.5, 0.8, -1.0, 0.3, 0.7]])
PLAYED = OWN + AWAY[0], OTHER + AWAY[1]
VALUES = np.array([[0.5, -1.0, 0.3, 2.0, 0.1], [1.0, 0.2, -0.4, 0.7, -2.0]])
STEPS = 1e-30j * np.eye(5)


def means(name, length, *, weighted=True):
    """Of the objective, its slope in one's own logits, and the mixed derivative: over games.

    Games are those of `PLAYED`, whatever the policies are that they are used for.
    """
    rounds, likely = dilemma.games(*PLAYED, length)
    table = dilemma.joint(*PLAYED)
    behaviour = np.log(table[rounds[:, :-1], rounds[:, 1:] - 1]) if weighted else None
    game = RepeatedGame(jnp.array(dilemma.PAYOFFS), 0.96)

    def of_one(own, other, rounds, behaviour):
        seen = None if behaviour is None else behaviour[None]
        return objective(name, game, own, other, Games(rounds[None], jnp.array(VALUES), seen))

    def all_of(function):
        axes = (None, None, 0, 0 if weighted else None)
        each = jax.jit(jax.vmap(function, axes))(OWN, OTHER, rounds, behaviour)
        return np.tensordot(likely, np.asarray(each), axes=1)

    slope = jax.grad(of_one)
    return all_of(of_one), all_of(slope), all_of(jax.jacobian(slope, argnums=1))


def exact(name, length):
    """The same of the truncated value, by complex steps and differences."""
    bootstrap = np.zeros(5) if name == "dice" else VALUES[0]

    def value(own, other):
        return dilemma.truncated_value(own, other, length, bootstrap)

    def slope(other):
        return np.array([value(OWN + step, other).imag / 1e-30 for step in STEPS])

    mixed = [(slope(OTHER + d) - slope(OTHER - d)) / 2e-5 for d in 1e-5 * np.eye(5)]
    over = 0.0 if name == "dice" else value(*PLAYED)  # loaded is what is gained over those
    return value(OWN, OTHER) - over, slope(OTHER), np.array(mixed).T


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize("name", ["dice", "loaded"])
def test_off_policy_estimates_are_unbiased_in_value_and_both_derivatives(name, length):
    value, slope, mixed = means(name, length)
    wanted = exact(name, length)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-12)
    np.testing.assert_allclose(slope, wanted[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mixed, wanted[2], atol=1e-9)


@pytest.mark.parametrize("name", ["dice", "loaded"])
def test_without_weights_they_are_not(name):
    slope, wanted = means(name, 2, weighted=False)[1], exact(name, 2)[1]
    assert np.abs(slope - wanted).max() > 0.1 * np.abs(wanted).max()


def test_games_turned_are_the_other_players():
    """The other's payoffs and baseline; who played them is the same."""
    rounds = jnp.array([[0, 2, 3, 4]])
    games = Games(rounds, jnp.array(VALUES), jnp.array([[-1.0, -2.0, -3.0]]))
    other = turned(games)
    np.testing.assert_array_equal(other.rounds, [[0, 3, 2, 4]])
    np.testing.assert_array_equal(other.values, VALUES[::-1])
    np.testing.assert_array_equal(other.behaviour, games.behaviour)
