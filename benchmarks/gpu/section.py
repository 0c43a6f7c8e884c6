"""Runs one section in its own process, which may crash or hang without affecting the others.

    python -m benchmarks.gpu.section NAME SECONDS full|small RECORDS

Each record is a line of JSON, appended to the file RECORDS as soon as it is known.
"""

import json
import sys
from pathlib import Path
from typing import Any

NAMES = ("cells", "methods", "seeds")


def main(name: str, seconds: str, sizes: str, path: str) -> None:
    def emit(record: dict[str, Any]) -> None:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    if name == "environment":
        from benchmarks.gpu import environment

        return emit(environment.describe())
    import importlib

    from benchmarks.gpu.measuring import Deadline
    from benchmarks.harness import timing

    clock = Deadline(float(seconds))
    module = importlib.import_module(f"benchmarks.gpu.{name}")
    if sizes != "small":
        timing.warm_up()
    module.run(module.SMALL if sizes == "small" else module.Sizes(), emit, clock)


if __name__ == "__main__":
    main(*sys.argv[1:])
