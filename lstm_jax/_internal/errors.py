"""The errors that lstm_jax raises where a caller's argument is at fault.

They are ValueErrors and TypeErrors like any other, and a class of their own beside that, so that a
command line can tell a mistake of its user, which is one line, from a fault of a program, whose
traceback is to be seen: ``except lstm_jax.ArgumentError``. A task or a cell from outside may raise
them too.
"""


class ArgumentError(Exception):
    """An argument is at fault; the message names it, and says what was expected and what was given.

    Raised as ``WrongValue`` or ``WrongType``.
    """


class WrongValue(ArgumentError, ValueError):
    """An argument of the right type has a value that makes no sense."""


class WrongType(ArgumentError, TypeError):
    """An argument is of another type than is expected, or there is no such argument."""


class WrongInputSize(WrongValue):
    """An input size that a cell cannot take; ``expected`` is the only one that it takes."""

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected
