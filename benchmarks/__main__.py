"""lstm_jax beside its peers, in one process, in turns: ``python -m benchmarks``.

Flax NNX, Haiku, Equinox, Keras on JAX and PyTorch are given the same weights and the same work,
and their numbers are compared before any is timed. A killed run goes on with the same command.
The whole takes tens of minutes; ``--cells lstm --shapes 20x35x200x200 --layers 1 --no-memory
--no-allocator`` takes one.
"""

import sys
from pathlib import Path
from typing import Annotated

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def main(argv: list[str]) -> int:
    """The exit code; an error that a user can mend is one line, without a traceback."""
    import tyro

    from benchmarks.harness import conduct
    from benchmarks.harness.settings import Settings
    from lstm_jax._internal.errors import ArgumentError

    def command(
        settings: Annotated[Settings, tyro.conf.arg(name="")],
        *,
        out: Path = Path("runs/benchmarks"),
        overwrite: bool = False,
    ) -> int:
        """Measures and reports.

        Args:
            settings: What is compared.
            out: Run folder.
            overwrite: Start afresh, and lose the run that is in the folder.
        """
        return conduct.conduct(settings, out, overwrite=overwrite)

    try:
        return tyro.cli(command, args=argv, prog="python -m benchmarks", description=__doc__)
    except ArgumentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = " ".join(["python -m benchmarks", *argv])
        print(f"\nstopped; the same command goes on from here: {again}", file=sys.stderr)
        return INTERRUPTED


def use_all_cores() -> None:
    """Makes each core a device of JAX, and compile times real ones; before JAX is used."""
    import jax

    import lstm_jax as lj

    lj.use_cpu_cores()
    jax.config.update("jax_enable_compilation_cache", False)


if __name__ == "__main__":
    use_all_cores()
    sys.exit(main(sys.argv[1:]))
