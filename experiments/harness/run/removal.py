"""--overwrite: removes what runs write, and nothing that anybody else put into the folder."""

import contextlib
import json
import re
from pathlib import Path

from lstm_jax._internal import storage

# By their paths in the folder; further figures are found in the results that name them.
RUN_FILES = re.compile(
    r"(environment|made_from|results|sweep|gradients)\.json|report\.md|turn\.lock"
    r"|(curves|lags|overview|growth|stream|ratios_\w+)(\.tmp)?\.png"
    r"|measured/\w[^/]*\.json"
    r"|[^/]+/[^/]+/(lock|metrics\.jsonl|(result|steps|gradients|model/model)\.json)"
    r"|[^/]+/[^/]+/tensorboard/events\.out\.tfevents\.[^/]+"
    r"|[^/]+/[^/]+/(checkpoints|model/weights|not_finite/\d+)/\d+/.+"
    r"|[^/]+/[^/]+/seed_\d+/(\w+/)*(\w+\.npz|(result|seconds|net/net)\.json)"
    r"|[^/]+/[^/]+/seed_\d+/(\w+/)*(net/weights|checkpoint)/.+"
)
FIGURES = re.compile(r'"([^"/]+\.png)"')


def remove_run(path: Path) -> None:
    """Removes the files of a run, and the folders that are then empty.

    Links and files of other names stay, and so does config.json, which the new run replaces. A
    removal that is killed can be repeated.
    """
    figures = figure_names(path)
    folders = []
    for entry in sorted(path.rglob("*"), reverse=True):  # the content of a folder before the folder
        name = entry.relative_to(path).as_posix()
        if entry.is_symlink() or any(parent.is_symlink() for parent in parents_within(entry, path)):
            continue
        if entry.is_dir():
            folders.append(entry)
        elif name in figures or RUN_FILES.fullmatch(final_name(name)):
            entry.unlink()
    for folder in folders:
        with contextlib.suppress(OSError):  # it holds files of somebody else
            folder.rmdir()


def figure_names(path: Path) -> set[str]:
    """The paths of the figures that results.json and the contenders' results name."""
    figures = set()
    for file in [path / "results.json", *path.glob("*/*/result.json")]:
        if file.is_file():
            folder = file.parent.relative_to(path)
            names = FIGURES.findall(file.read_text(encoding="utf-8", errors="replace"))
            figures |= {(folder / json.loads(f'"{name}"')).as_posix() for name in names}
    return figures


def final_name(name: str) -> str:
    """The final name of a file that a killed process left unfinished; other names unchanged."""
    final = re.sub(r"\.[0-9a-f]{8}" + re.escape(storage.PART) + r"(?=/|$)", "", name)
    return final.removesuffix(".tmp")


def parents_within(entry: Path, path: Path) -> list[Path]:
    return [parent for parent in entry.parents if path in parent.parents]
