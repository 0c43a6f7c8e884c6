"""What a run's numbers were made from, besides its configuration.

    made_from.json   in the run folder: the version and the revision of lstm_jax, and SHA-256 sums
                     of its code, of the files of --load with what they import from beside them,
                     and of each task's data

A run goes on, or shows its table again, only where these are the same; elsewhere its numbers would
be a mixture, or those of other code. What decides is the content: a commit that leaves the code as
it is refuses nothing, and an edit refuses before it is committed. Files that only show results
(``SHOWING``) may change, and a finished run is then shown by them. Versions of JAX and the others
are noted at every start, in environment.json, and refuse nothing.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax
from experiments.harness.run import versions

if TYPE_CHECKING:  # not at run time: benchmarks.gpu runs where there may be no more than JAX
    from experiments.harness.run.jobs import Job

# Files and folders on which no number that is kept depends: measurements come from the others.
SHOWING = ("harness/report/", "harness/run/event_files.py", "harness/run/progress.py",
           "harness/run/user_errors.py")  # fmt: skip


def made_from(jobs: Iterable["Job"] = (), *, program: str = "experiments") -> dict[str, Any]:
    """What stands in made_from.json.

    program: the folder of the code that measures, beside lstm_jax.
    """
    tasks = {job.setting.task.name: job.setting.task for job in jobs}
    return {
        "version": lstm_jax.__version__,
        "revision": versions.git_revision(),
        "code": code(program),
        "loaded": loaded(),
        "data": {name: data_sum(task) for name, task in tasks.items()},
    }


def difference(before: dict[str, Any] | None, now: dict[str, Any]) -> str | None:
    """What changed since, and from what to what, in words; None where it is the same.

    before: None for a run that noted nothing, as those of older versions.
    """
    if before is None:
        return f"an lstm_jax that did not note its code, and this is {name_of(now)}"
    changed = [*changes(before, now, "loaded"), *changes(before, now, "data")]
    if before.get("version") != now["version"] or before.get("code") != now["code"]:
        files = changes(before, now, "code")
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        of = f", of which {files[0]}{more}" if files else ""
        changed.append(f"{name_of(before)}, and this is {name_of(now)}{of}")
    return "; ".join(changed) or None


def changes(before: dict[str, Any], now: dict[str, Any], part: str) -> list[str]:
    """What differs in one part, each in words."""
    then, current = before.get(part, {}), now[part]
    what = {"loaded": "the loaded file {}, which", "data": "data of {}, which"}.get(part, "{}")
    said = []
    for name in dict.fromkeys([*current, *then]):
        if then.get(name) != current.get(name):
            how = "is new" if name not in then else "is gone" if name not in current else "changed"
            sums = f" (SHA-256 {then.get(name, '-')[:8]}, now {current.get(name, '-')[:8]})"
            said.append(f"{what.format(name)} {how}{'' if part == 'code' else sums}")
    return said


def name_of(made: dict[str, Any]) -> str:
    """Version and revision; outside git, or of code with changes that are in no commit, a sum of
    the code too."""
    revision = made.get("revision")
    name = f"lstm_jax {made.get('version')}"
    if revision is not None:
        name += f" at revision {revision.removesuffix('-dirty')[:12]}"
    if revision is None or revision.endswith("-dirty"):
        name += f" with the code {sum_of_code(made)}"
    return name


def sum_of_code(made: dict[str, Any]) -> str:
    lines = [f"{file} {digest}" for file, digest in sorted(made.get("code", {}).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def code(program: str) -> dict[str, str]:
    """The files that decide the numbers, by their names from the root."""
    folders = {
        "lstm_jax": Path(lstm_jax.__file__).resolve().parent,
        program: versions.ROOT / program,
    }
    return {
        f"{folder}/{file.relative_to(path).as_posix()}": file_sum(file)
        for folder, path in folders.items()
        for file in sorted(path.rglob("*.py"))
        if folder == "lstm_jax" or not file.relative_to(path).as_posix().startswith(SHOWING)
    }


def loaded() -> dict[str, str]:
    """The files of --load and what they import, by name; wherever they lie, since a file that was
    moved is the same."""
    from experiments.harness.run import loading  # not above, for the same reason as Job

    sums: dict[str, str] = {}
    for file in loading.loaded_files():
        name = file.name if file.name not in sums else str(file)
        sums[name] = file_sum(file)
    return sums


def file_sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def data_sum(task: Any) -> str:
    """Of the held-out data, and of the arrays that training batches are drawn from: whatever files
    they were read from, another content is another sum."""
    traced = jax.make_jaxpr(lambda key: task.sample(key, 1))(jax.random.key(0))
    total = hashlib.sha256()
    for leaf in [*jax.tree.leaves((task.validation, task.test)), *traced.consts]:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
