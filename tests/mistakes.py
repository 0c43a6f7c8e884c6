"""What the tests of wrong arguments share."""

import pytest

import lstm_jax as lj


def require_argument_error(call, argument):
    """Checks that ``call()`` raises an error of the library that begins with the argument's name,
    given as a regular expression."""
    with pytest.raises((ValueError, TypeError), match=rf"^{argument}") as caught:
        call()
    assert issubclass(caught.type, lj.ArgumentError), caught.type
