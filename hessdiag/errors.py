"""The errors that hessdiag raises for the person at the keyboard."""


class UsageError(Exception):
    """Bad input: one line that names the thing, its value and what is allowed (exit code 2)."""


class NotFiniteError(ArithmeticError):
    """Training produced a NaN or an infinity: the message says where it arose (exit code 1)."""


class CompilerError(ArithmeticError):
    """The installed compiler gets small programs wrong: what to do is said (exit code 1)."""
