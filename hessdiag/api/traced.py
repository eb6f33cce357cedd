"""What a function computes, as data: whether two traces of it are one program, and on what numbers.

Programs that differ in the values of arrays alone are one: what a function reads from its closure
becomes an operand, so that it may be another array at every call, and nothing compiles again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.extend.core import Literal

from hessdiag.spectra.checks import on_host

_ADDRESS = re.compile(r"0x[0-9a-f]+")
_PLAIN = (str, bytes, int, bool, type(None), np.dtype)  # a NaN differs from itself


@dataclass(frozen=True)
class Traced:
    """A function of pytrees of arrays, traced.

    Attributes:
        jaxpr: of (constants, *operands), flat.
        constants: the arrays that it closes over, as they are now.
        result: the structure of what it returns.
        signature: equal for programs that compute the same from their operands and constants.
        opaque: it calls back to Python, and nobody knows what for.
        floats: the floating dtypes that it computes in.
    """

    jaxpr: Any
    constants: tuple[Any, ...]
    result: Any
    signature: tuple
    opaque: bool
    floats: frozenset[str]

    @classmethod
    def of(cls, function: Callable[..., Any], *operands: Any) -> "Traced":
        """Trace a function anew, whatever JAX remembers of it."""
        closed, shape = jax.make_jaxpr(lambda *at: function(*at), return_shape=True)(*operands)
        signature, opaque, floats = signature_of(closed.jaxpr)
        return cls(
            closed.jaxpr,
            tuple(np.asarray(c) if isinstance(c, np.ndarray) else c for c in closed.consts),
            jax.tree.structure(shape),
            (signature, jax.tree.structure(operands)),
            opaque,
            floats,
        )

    def __call__(self, constants: tuple[Any, ...], *operands: Any) -> Any:
        """The function on other numbers; under `jax.jit`, which compiles it."""
        flat = eval_jaxpr(self.jaxpr, constants, *jax.tree.leaves(operands))
        return self.result.unflatten(flat)

    def same_as(self, other: "Traced") -> bool:
        """Whether both are one program on equal constants: nothing was drawn between the traces."""
        return self.signature == other.signature and all(
            map(_equal, self.constants, other.constants)
        )


def signature_of(jaxpr: Any) -> tuple[tuple, bool, frozenset[str]]:
    """A jaxpr without the names of its variables; as `Traced` has them, opaque and floats."""
    reader = _Reader()
    return reader.program(jaxpr), reader.opaque, frozenset(reader.floats)


class _Reader:
    """Reads jaxprs, the inner ones of each, too."""

    def __init__(self):
        self.opaque = False
        self.floats: set[str] = set()

    def program(self, jaxpr: Any) -> tuple:
        """Equations with numbers for variables."""
        numbers: dict[Any, int] = {}

        def defined(variables) -> tuple:
            for variable in variables:
                numbers[variable] = len(numbers)
            return tuple(str(variable.aval) for variable in variables)

        def used(atom: Any) -> Any:
            if isinstance(atom, Literal):
                return str(atom.aval), np.asarray(atom.val).tobytes()
            return numbers[atom]

        lines: list[Any] = [defined([*jaxpr.constvars, *jaxpr.invars])]
        for equation in jaxpr.eqns:
            self.opaque |= "callback" in equation.primitive.name
            settings = tuple(
                (name, self._plain(equation.params[name])) for name in sorted(equation.params)
            )
            inputs = tuple(map(used, equation.invars))
            self.floats |= {name for v in equation.outvars if (name := _float_name(v.aval))}
            lines.append((equation.primitive.name, inputs, settings, defined(equation.outvars)))
        return *lines, tuple(map(used, jaxpr.outvars))

    def _plain(self, value: Any) -> Any:
        """A parameter of an equation as something that can be compared."""
        if isinstance(value, _PLAIN):
            return value
        if hasattr(value, "eqns"):
            closed = tuple(self._plain(np.asarray(c)) for c in getattr(value, "consts", ()))
            return self.program(getattr(value, "jaxpr", value)), closed
        if isinstance(value, tuple | list):
            return tuple(map(self._plain, value))
        if isinstance(value, np.ndarray):
            return value.shape, value.dtype, value.tobytes()
        if callable(value):  # rules of derivatives, which the derivatives show
            return "function"
        return _ADDRESS.sub("", repr(value))


def _float_name(aval: Any) -> str:
    """The dtype's, where it is a floating one."""
    dtype = getattr(aval, "dtype", np.dtype(bool))
    return dtype.name if jnp.issubdtype(dtype, jnp.floating) else ""


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    a, b = on_host(a), on_host(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
