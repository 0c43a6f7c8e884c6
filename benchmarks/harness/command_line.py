"""The command lines of the benchmarks, which end in the same way."""

import sys
from collections.abc import Callable

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def run_command(
    command: Callable[..., int], argv: list[str], *, program: str, description: str | None
) -> int:
    """Runs ``command`` with the options in ``argv``, and returns its exit code.

    A user's mistake is a one-line error, and an interrupted run says how to continue it.
    """
    import tyro

    from lstm_jax._internal.errors import ArgumentError

    try:
        return tyro.cli(command, args=argv, prog=program, description=description)
    except ArgumentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        text = " ".join([program, *argv])
        print(f"\nstopped; the same command continues from here: {text}", file=sys.stderr)
        return INTERRUPTED
