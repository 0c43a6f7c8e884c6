"""The sources of a run's numbers besides its configuration: code, loaded files and data.

    made_from.json   in the run folder: the version and the revision of lstm_jax, and SHA-256 sums
                     of its code, of the files of --load with what they import from their folders,
                     and of each task's data

A run is continued, or its table shown again, only if these are the same; otherwise its numbers
would be a mixture, or those of different code. The content decides: a commit that does not change
the code is accepted, an edit is refused even before it is committed. Files that only display
results (``DISPLAY_ONLY``) may change, and a finished run is then displayed by the new ones. The
versions of JAX and other packages are noted in environment.json at every start, and never refused.
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

if TYPE_CHECKING:  # not at run time, since benchmarks.gpu may run where only JAX is installed
    from experiments.harness.run.jobs import Job

# Files and folders that no stored number depends on.
DISPLAY_ONLY = ("harness/report/", "harness/run/event_files.py", "harness/run/progress.py",
           "harness/run/user_errors.py")  # fmt: skip


def collect(jobs: Iterable["Job"] = (), *, program: str = "experiments") -> dict[str, Any]:
    """The content of made_from.json.

    Args:
        jobs: The jobs, for the data of their tasks.
        program: The folder of the code that measures, beside lstm_jax.
    """
    tasks = {job.setting.task.name: job.setting.task for job in jobs}
    return {
        "version": lstm_jax.__version__,
        "revision": versions.git_revision(),
        "code": file_digests(program),
        "loaded": loaded_file_digests(),
        "data": {name: data_digest(task) for name, task in tasks.items()},
    }


def describe_difference(before: dict[str, Any] | None, now: dict[str, Any]) -> str | None:
    """Says in words what differs between two sets of sources; None if they are the same.

    Args:
        before: The content of made_from.json; None for a run of an older version, without it.
        now: From ``collect``.
    """
    if before is None:
        return f"an lstm_jax that did not note its code, and this is {describe_version(now)}"
    changed = [*describe_changes(before, now, "loaded"), *describe_changes(before, now, "data")]
    if before.get("version") != now["version"] or before.get("code") != now["code"]:
        files = describe_changes(before, now, "code")
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        of = f", of which {files[0]}{more}" if files else ""
        changed.append(f"{describe_version(before)}, and this is {describe_version(now)}{of}")
    return "; ".join(changed) or None


def describe_changes(before: dict[str, Any], now: dict[str, Any], part: str) -> list[str]:
    """Says in words what differs in one part: "code", "loaded" or "data"."""
    old, new = before.get(part, {}), now[part]
    template = {"loaded": "the loaded file {}, which", "data": "data of {}, which"}.get(part, "{}")
    changes = []
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            how = "is new" if name not in old else "is gone" if name not in new else "changed"
            sums = f" (SHA-256 {old.get(name, '-')[:8]}, now {new.get(name, '-')[:8]})"
            changes.append(f"{template.format(name)} {how}{'' if part == 'code' else sums}")
    return changes


def describe_version(made: dict[str, Any]) -> str:
    """Version and revision; outside git, or if there are uncommitted changes, also a digest of the
    code."""
    revision = made.get("revision")
    name = f"lstm_jax {made.get('version')}"
    if revision is not None:
        name += f" at revision {revision.removesuffix('-dirty')[:12]}"
    if revision is None or revision.endswith("-dirty"):
        name += f" with the code {code_digest(made)}"
    return name


def code_digest(made: dict[str, Any]) -> str:
    lines = [f"{file} {digest}" for file, digest in sorted(made.get("code", {}).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def file_digests(program: str) -> dict[str, str]:
    """SHA-256 sums of the files that the numbers depend on, by their paths from the root."""
    folders = {
        "lstm_jax": Path(lstm_jax.__file__).resolve().parent,
        program: versions.ROOT / program,
    }
    return {
        f"{folder}/{file.relative_to(path).as_posix()}": file_digest(file)
        for folder, path in folders.items()
        for file in sorted(path.rglob("*.py"))
        if folder == "lstm_jax" or not file.relative_to(path).as_posix().startswith(DISPLAY_ONLY)
    }


def loaded_file_digests() -> dict[str, str]:
    """SHA-256 sums of the files of --load and what they import, by name and not by path, since a
    file that was moved is the same."""
    from experiments.harness.run import loading  # not at the top, for the same reason as Job

    sums: dict[str, str] = {}
    for file in loading.loaded_files():
        name = file.name if file.name not in sums else str(file)
        sums[name] = file_digest(file)
    return sums


def file_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def data_digest(task: Any) -> str:
    """A SHA-256 sum of the held-out data and of the arrays that training batches are drawn from, so
    that a change in the files they were read from changes it."""
    traced = jax.make_jaxpr(lambda key: task.sample(key, 1))(jax.random.key(0))
    total = hashlib.sha256()
    for leaf in [*jax.tree.leaves((task.validation, task.test)), *traced.consts]:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        total.update(f"{array.dtype} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
