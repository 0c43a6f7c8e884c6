"""User errors, which the command line reports in one line; all others show a traceback."""

import sys
import traceback
from pathlib import Path

from experiments.harness.run import loading
from lstm_jax._internal.errors import ArgumentError

USER_ERRORS = (
    ArgumentError,
    ImportError,
    OSError,
)  # an option; a package or a file that is missing


def is_user_error(error: Exception) -> bool:
    """Whether the error's text is all that the user needs to know.

    It is not if a loaded file or a function of a task raised the error, which a note on it says, or
    if a loaded file lacks a package or another file: these are faults in a program, and the
    traceback shows where.
    """
    notes = getattr(error, "__notes__", ())  # JAX adds some of its own
    if not isinstance(error, USER_ERRORS) or any(note.startswith("(raised by ") for note in notes):
        return False
    if isinstance(error, ArgumentError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    files = {Path(frame.filename).resolve() for frame in frames}
    return files.isdisjoint(loading.loaded_files())


def print_error(error: Exception) -> int:
    """Prints the error in one line, and returns the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 2
