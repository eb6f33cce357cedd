import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import Space, diagonal, symmetric


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": (2, 3), "c": (4,)}, r"a pytree .*'c': \*}\) for a space of .*'b': \*}\)"),
        ([(2, 3), (4,)], r"a pytree PyTreeDef\(\[\*, \*\]\) for a space of .*'a': \*"),
        ({"a": (4,), "b": (2, 3)}, r"shapes \(\(4,\), \(2, 3\)\) .* of \(\(2, 3\), \(4,\)\)$"),
        ({"a": (3, 2), "b": (4,)}, r"shapes \(\(3, 2\), \(4,\)\) for a space of \(\(2, 3\), "),
        ((10, 1), r"a pytree PyTreeDef\(\*\) for a space of .*'a': \*"),
    ],
)
def test_pytrees_whose_entries_would_be_in_another_order_are_refused(dtype, other, message):
    """As many entries are not enough: `ravel` would permute them."""

    def of_shapes(shapes):
        return jax.tree.map(
            lambda shape: jnp.ones(shape, dtype), shapes, is_leaf=lambda at: isinstance(at, tuple)
        )

    like = of_shapes({"a": (2, 3), "b": (4,)})
    wrong = of_shapes(other)
    assert Space.like(like).holds(like)
    assert not Space.like(like).holds(wrong)
    for refused in (
        lambda: Space.like(like).ravel(wrong),
        lambda: diagonal(like).matvec(wrong),
        lambda: symmetric(lambda _: wrong, like).matvec(like),
    ):
        with pytest.raises(ValueError, match=message) as error:
            refused()
        assert len(str(error.value).splitlines()) == 1


def test_spaces(dtype):
    like = {
        "bias": jnp.zeros((), dtype),
        "layers": [jnp.zeros((2, 3), dtype), (jnp.zeros(4, dtype), jnp.zeros((0, 2), dtype))],
    }
    space = Space.like(like)
    assert (space.size, space.dtype) == (11, dtype)
    assert space.shapes == ((), (2, 3), (4,), (0, 2))
    flat = jnp.arange(11, dtype=dtype)
    np.testing.assert_array_equal(space.ravel(space.unravel(flat)), flat)
    pair = space * Space.like(jnp.zeros(3, dtype))
    first, second = pair.unravel(jnp.arange(14, dtype=dtype))
    assert pair.size == 14
    assert jax.tree.structure(first) == jax.tree.structure(like)
    np.testing.assert_array_equal(second, [11, 12, 13])
    np.testing.assert_array_equal(pair.ravel((first, second)), jnp.arange(14, dtype=dtype))
    np.testing.assert_array_equal(pair.ravel(np.arange(14)), jnp.arange(14, dtype=dtype))
    assert pair.holds((first, second))
    assert not pair.holds((second, first))
