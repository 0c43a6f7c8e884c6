"""``--load``: runs Python files that register cells and tasks.

Each file runs as a module. Its folder comes first on ``sys.path``, so that it can import the
modules beside it, even later from within a function.
"""

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import lstm_jax as lj
from lstm_jax import tasks
from lstm_jax._internal.errors import WrongValue

_folders: list[Path] = []  # of the files of this command, on sys.path
_files: dict[str, Path] = {}  # the files of this command, by module name
_registered_by_files: set[tuple[str, str]] = set()  # kinds and names


def load_files(files: Sequence[Path]) -> None:
    """Runs the files of one command, which register cells or tasks.

    Modules that an earlier command in this process has loaded are loaded anew.

    Raises:
        OSError: if a file does not exist.
        ValueError: if a file registers a name that is already in use.
        RuntimeError: if a file ends the program.
        Exception: whatever a file raises, with a note that says which file it was.
    """
    for name in _loaded_modules():
        del sys.modules[name]
    for folder in _folders:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
    _folders.clear()
    _files.clear()
    owners: dict[tuple[str, str], Path] = {}
    for file in files:
        if not file.is_file():
            names = "" if file.suffix else "; names of tasks come before the options"
            raise FileNotFoundError(f"load: expected a Python file{names}, got {file}")
        before = _registry_entries()
        _run(file)
        for entry, factory in _registry_entries().items():
            if factory is before.get(entry):
                continue
            if entry in owners or (entry in before and entry not in _registered_by_files):
                kind, name = entry
                owner = owners.get(entry, "lstm_jax")
                raise WrongValue(
                    f"load: {file}: expected a new name for the {kind}, got {name!r}, which is "
                    f"already registered by {owner}"
                )
            owners[entry] = file
            _registered_by_files.add(entry)


def loaded_files() -> list[Path]:
    """The files of this command, and the modules that they import from their folders: the code
    besides lstm_jax that the numbers depend on."""
    imported = (_file_of(module) for module in _loaded_modules().values())
    return sorted({file for file in (*_files.values(), *imported) if file is not None})


def _registry_entries() -> dict[tuple[str, str], Any]:
    registries: dict[str, Mapping[str, Any]] = {"cell": lj.cells.registry, "task": tasks.registry}
    return {
        (kind, name): of for kind, entries in registries.items() for name, of in entries.items()
    }


def _loaded_modules() -> dict[str, ModuleType]:
    """The modules of the files, and those that were imported from their folders."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name in _files or _is_neighbour(name, module)
    }


def _is_neighbour(name: str, module: Any) -> bool:
    """Whether a module was imported from the folder of a loaded file. Modules that lstm_jax itself
    uses do not count, wherever a file lies."""
    if name.partition(".")[0] in ("lstm_jax", "experiments", "__main__", "tests"):
        return False
    file = _file_of(module)
    return file is not None and any(_top_level_path(name, folder) in (file, *file.parents)
                                    for folder in _folders)  # fmt: skip


def _top_level_path(name: str, folder: Path) -> Path:
    """The path in ``folder`` of the module ``name``, or of the package that it is in."""
    top = name.partition(".")[0]
    return folder / top if (folder / top).is_dir() else folder / f"{top}.py"


def _file_of(module: Any) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _run(file: Path) -> None:
    path = file.resolve()
    importlib.invalidate_caches()  # the file may be new
    name = _module_name(path)
    if _file_of(sys.modules.get(name)) == path:
        _files[name] = path
        return  # an earlier file has imported it
    _unload_namesakes(path.parent)
    _folders.append(path.parent)
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = ModuleType(name) if spec is None else importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name], _files[name] = module, path
    try:
        with _no_bytecode():
            # Not by the loader, which may use stale bytecode.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except SystemExit as error:
        raise RuntimeError(
            f"load: {file} ends the program with sys.exit({error.code!r})"
        ) from error
    except Exception as error:
        error.add_note(f"(raised by {file}, which --load runs)")
        raise


def _module_name(path: Path) -> str:
    """The file's own name, so that its neighbours can import it, or a unique one if another module
    already has that name."""
    name = path.stem
    if name.isidentifier():
        if name in sys.modules:
            if _file_of(sys.modules[name]) == path:
                return name
        else:
            found = importlib.util.find_spec(name)
            if found is None or found.origin is None or Path(found.origin).resolve() == path:
                return name
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = re.sub(r"\W", "_", name)
    return f"{name}_{digest}"


def _unload_namesakes(folder: Path) -> None:
    """Unloads modules from other folders if ``folder`` has modules of the same names."""
    for name, module in _loaded_modules().items():
        file, top = _file_of(module), _top_level_path(name, folder)
        is_inside = file is not None and top in (file, *file.parents)
        if name not in _files and top.exists() and not is_inside:
            del sys.modules[name]


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keeps Python from writing bytecode beside the files."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
