"""Which errors are one line on the command line: a user's mistakes. Others show a traceback."""

import sys
import traceback
from pathlib import Path

from experiments.harness.run import loading
from lstm_jax._internal.errors import ArgumentError

MENDABLE = (ArgumentError, ImportError, OSError)  # an option; a package or a file that is missing


def is_mistake(error: Exception) -> bool:
    """Whether the error's text is all that a user has to know.

    It is not where a note on the error says that a loaded file or a function of a task raised it,
    nor where a loaded file missed a package or another file: those are faults of a
    program, and the traceback tells where they stand.
    """
    notes = getattr(error, "__notes__", ())  # JAX adds some of its own
    if not isinstance(error, MENDABLE) or any(note.startswith("(raised by ") for note in notes):
        return False
    if isinstance(error, ArgumentError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    files = {Path(frame.filename).resolve() for frame in frames}
    return files.isdisjoint(loading.loaded_files())


def tell(error: Exception) -> int:
    """Prints the line, and gives the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 2
