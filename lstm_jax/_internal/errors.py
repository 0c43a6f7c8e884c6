"""The errors that lstm_jax raises for a wrong argument.

They are ordinary ValueErrors and TypeErrors that also share a base class. With
``except lstm_jax.ArgumentError`` a command line can print a user's mistake in one line, and let the
traceback of any other error through. Tasks and cells from outside may raise them too.
"""


class ArgumentError(Exception):
    """An argument is wrong. The message reads "argument: expected X, got Y".

    Raised as ``WrongValue`` or ``WrongType``.
    """


class WrongValue(ArgumentError, ValueError):
    """An argument has the right type and a wrong value."""


class WrongType(ArgumentError, TypeError):
    """An argument has a wrong type, or there is no such argument."""


class WrongInputSize(WrongValue):
    """The cell does not accept this input size; ``expected`` is the only one that it accepts."""

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected
