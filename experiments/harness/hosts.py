"""Trains one small net in several processes of this machine, and compares with one process.

    python -m experiments.harness.hosts --processes 4
    python -m experiments.harness.hosts --processes 2 --kill-one-at 40
    python -m experiments.harness.hosts --processes 4 --data streams --devices 1

Each process has CPU devices of its own, and all of them train one net by ``lj.initialize_hosts``
and ``train.fit``, as they would on several hosts. Then comes the same training in one process on
one device. The table has the losses of both; the exit code is 0 if they differ by 1e-6 at most, in
float32.

With --kill-one-at STEP one of the processes kills itself before that step. The others are ended,
the job is started again with the same checkpoint, and has to end as a job that nobody killed, to
the bit. --restart-with N goes on in N processes instead, to 1e-6.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import lstm_jax as lj
from experiments.harness.launch import JobFailed, free_port, launch
from lstm_jax import train
from lstm_jax._internal import checking
from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax.train.checkpoint import latest_step

TOLERANCE = 1e-6
BATCH_SIZE = 16
READS_FOR_SHAPES = 2  # of ``fit``, before its first step


def problem(kind: str) -> tuple[train.Model, Any, Any, dict[str, Any]]:
    """A model, its training and validation data, and the options of ``fit``."""
    rng = np.random.default_rng(0)
    if kind == "rows":
        rows = [rng.normal(size=(steps, 2)) for steps in rng.integers(4, 21, 160)]
        whole = train.Dataset(rows, np.array([row.mean() for row in rows]))
        data, held_out = train.hold_out(whole, 0.2, key=jax.random.key(1))
        cell = lj.dropout(lj.lstm(8), 0.1)
        model = train.network(cell, train.inputs.numbers(2), train.heads.regression())
        return model, data, held_out, {"loss": "mse", "metrics": ["mae", "r2"]}
    tokens = np.cumsum(rng.integers(0, 2, 3200)) % 7
    stream = train.Streams(tokens[:2560], window=10)
    stream_held_out = train.Streams(tokens[2560:], window=64)
    model = train.network(
        lj.gru(8), train.inputs.embedding(7, 4), train.heads.classification(7), reads="every"
    )
    return model, stream, stream_held_out, {"loss": "cross_entropy", "metrics": ["perplexity"]}


def die_at(data: Any, step: int) -> None:
    """Lets this process kill itself before it reads the batch of a training step, from 1."""
    reads = itertools.count(1 - READS_FOR_SHAPES)

    def dying(read: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            if next(reads) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return read(*args)

        return wrapped

    if not isinstance(data, train.Streams):
        data.read = dying(data.read)
        return
    arrange = data.arrange

    def arrange_to_die(streams: int) -> Any:
        arranged = arrange(streams)
        arranged.read = dying(arranged.read)  # type: ignore[method-assign]
        return arranged

    data.arrange = arrange_to_die  # type: ignore[method-assign]


def work(options: argparse.Namespace) -> None:
    """Trains in one process of a job, and writes what it found to a file of its own."""
    lj.use_cpu_cores(options.devices)
    if options.coordinator:
        lj.initialize_hosts(options.coordinator, options.processes, options.process)
    model, data, held_out, of_problem = problem(options.data)
    if options.kill_one_at:
        die_at(data, options.kill_one_at)
    fitted = train.fit(
        model, data, validation=held_out, optimizer=optax.sgd(0.05, momentum=0.9),
        epochs=options.epochs, batch_size=options.batch_size, key=jax.random.key(0),
        checkpoint=options.checkpoint, seconds_between_checkpoints=0.1, progress=False,
        **of_problem,
    )  # fmt: skip
    params = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(fitted.last.params)]
    found = {"history": fitted.history, "params": np.concatenate(params).tolist()}
    (options.folder / f"found_{options.process}.json").write_text(json.dumps(found))


class Job(NamedTuple):
    """What the jobs of one command have in common, but for the number of their processes."""

    data: str
    devices: int
    epochs: int
    batch_size: int
    timeout: float
    folder: Path

    def run(self, name: str, processes: int, checkpoint: str, kill_one_at: int = 0) -> Any:
        """What the processes found, which has to be the same in all of them.

        Args:
            name: of the job's folder.
            processes: 1 for one process on one device, the reference.
            checkpoint: the name of the folder of checkpoints.
            kill_one_at: the step before which the last process kills itself; 0 to let it live.
        """
        folder = self.folder / name
        folder.mkdir()
        command = [
            sys.executable, "-m", "experiments.harness.hosts", "--processes", str(processes),
            "--data", self.data, "--epochs", str(self.epochs), "--folder", str(folder),
            "--devices", str(self.devices if processes > 1 else 1),
            "--batch-size", str(self.batch_size), "--checkpoint", str(self.folder / checkpoint),
        ]  # fmt: skip
        if processes > 1:
            command += ["--coordinator", f"localhost:{free_port()}"]
        commands = [[*command, "--process", str(number)] for number in range(processes)]
        if kill_one_at:
            commands[-1] += ["--kill-one-at", str(kill_one_at)]
        environment = {"JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
        launch(commands, folder, environment=environment, timeout=self.timeout)
        files = [folder / f"found_{number}.json" for number in range(processes)]
        found = [json.loads(file.read_text()) for file in files]
        for number, other in enumerate(found):
            if other != found[0]:
                raise JobFailed(f"process {number} found other numbers than process 0")
        return found[0]


def difference(one: Any, other: Any) -> float:
    """The largest between two trainings, of losses, metrics and params."""
    pairs = [(one["params"], other["params"])]
    pairs += [(values, other["history"][name]) for name, values in one["history"].items()]
    return max(float(np.abs(np.subtract(*pair)).max()) for pair in pairs)


def print_table(one: Any, several: Any, titles: tuple[str, str]) -> None:
    print(f"{'epoch':>5}  {'number':<22}{titles[0]:>14}{titles[1]:>14}{'difference':>12}")
    for name, values in one["history"].items():
        for epoch, (a, b) in enumerate(zip(values, several["history"][name], strict=True), 1):
            print(f"{epoch:>5}  {name:<22}{a:>14.8f}{b:>14.8f}{abs(a - b):>12.1e}")


def compare(options: argparse.Namespace, folder: Path) -> int:
    """Runs all jobs and returns the exit code."""
    several = options.processes
    count = several * options.devices
    batch_size = options.batch_size or -(-BATCH_SIZE // count) * count
    job = Job(options.data, options.devices, options.epochs, batch_size, options.timeout, folder)
    title = f"{several} processes"
    print(f"one process on one device, and {title} on {count}; {batch_size} rows per batch")
    reference = job.run("one", 1, "checkpoint_one")
    found = job.run("several", several, "checkpoint_several")
    ok = _report(reference, found, ("1 process", title), TOLERANCE)
    if options.kill_one_at:
        try:
            job.run("killed", several, "checkpoint_killed", options.kill_one_at)
        except JobFailed as error:
            print(f"\nthe job was ended: {str(error).splitlines()[0]}")
        else:
            print(f"kill_one_at: expected a step of the training, got {options.kill_one_at}")
            return 2
        step = latest_step(folder / "checkpoint_killed")
        again = options.restart_with or several
        print(f"started again from {'the beginning' if step is None else f'step {step // 2}'}")
        restarted = job.run("restarted", again, "checkpoint_killed")
        bits = again == several
        print(f"{again} processes, restarted, against {several} that nobody killed:")
        ok &= _report(found, restarted, ("not killed", "restarted"), 0.0 if bits else TOLERANCE)
    return 0 if ok else 1


def _report(one: Any, other: Any, titles: tuple[str, str], tolerance: float) -> bool:
    print_table(one, other, titles)
    largest = difference(one, other)
    ok = largest <= tolerance
    wanted = f"at most {tolerance:.0e}" if tolerance else "0"
    print(
        f"largest difference, of all these and the params: {largest:.1e}; expected {wanted}: "
        f"{'equal' if ok else 'NOT EQUAL'}"
    )
    return ok


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.harness.hosts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--processes", type=int, default=2, help="default: 2")
    parser.add_argument("--devices", type=int, default=1, help="of each process (default: 1)")
    parser.add_argument("--data", choices=("rows", "streams"), default="rows")
    parser.add_argument("--epochs", type=int, default=6, help="default: 6")
    parser.add_argument("--kill-one-at", type=int, default=0, metavar="STEP")
    parser.add_argument("--restart-with", type=int, default=0, metavar="N")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for each job")
    parser.add_argument("--folder", type=Path, help="for logs and checkpoints; must not exist")
    for hidden in ("--batch-size", "--process"):  # what the processes of a job are given
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    for hidden in ("--coordinator", "--checkpoint"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.process is not None:
        return _work_or_die(options)
    try:
        checking.positive_int("processes", options.processes)
        checking.positive_int("devices", options.devices)
        if options.processes == 1:
            raise WrongValue("processes: expected 2 or more, got 1")
        with contextlib.ExitStack() as stack:
            folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.mkdir(parents=True, exist_ok=options.folder is None)
            return compare(options, folder)
    except (ArgumentError, JobFailed, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _work_or_die(options: argparse.Namespace) -> int:
    try:
        work(options)
    except BaseException:
        # JAX's own exit waits minutes for the others, who may be waiting for this process.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
