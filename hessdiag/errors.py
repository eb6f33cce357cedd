"""The errors that hessdiag raises for the person at the keyboard, and what a line may hold."""

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """A text from a file without what terminals and browsers would obey instead of showing it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


class UsageError(Exception):
    """Bad input: one line that names the thing, its value and what is allowed (exit code 2)."""


class NotFiniteError(ArithmeticError):
    """Training produced a NaN or an infinity: the message says where it arose (exit code 1)."""


class ShortageError(MemoryError):
    """Memory ran out where nothing could be made smaller: the message says where (exit code 1)."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python's or of XLA's, on any device, says that memory ran out."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


class CompilerError(ArithmeticError):
    """The installed compiler gets small programs wrong: what to do is said (exit code 1)."""
