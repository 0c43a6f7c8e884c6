"""A run that is killed at any moment ends with the numbers of an uninterrupted one."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from experiments.__main__ import main
from experiments.harness.report import report, summary
from experiments.harness.run import compiled as programs_of_a_job
from experiments.harness.run import replay, run_folder, runner
from experiments.harness.run.jobs import comparison_jobs
from experiments.harness.run.progress import Progress
from experiments.memory import adding
from lstm_jax import train
from tests.conftest import flags
from tests.experiments import halved
from tests.experiments.test_event_files import scalars

CONFIG = adding.Config(
    lengths=(4,), cells=("rnn",), seeds=2, parameters=40, steps=40, every=10,
    learning_rate=(0.01,), vectorize="no",
)  # fmt: skip


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def job():
    return comparison_jobs(adding.settings(CONFIG)[0])[0]


@pytest.fixture(scope="module")
def programs(job):
    return runner.Programs(job)


@pytest.fixture
def run(job, programs, monkeypatch):
    """Runs the tiny job in a folder, with a checkpoint after every chunk."""
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", -1.0)

    def run(path, **options):
        progress = Progress([job], Console(quiet=True))
        return runner.run_job(job, programs, path, progress, sweeping=False, **options)

    return run


def without_times(result):
    """``result`` without what depends on a clock."""
    if isinstance(result, dict):
        clocks = ("seconds",)
        return {name: without_times(value) for name, value in result.items() if name not in clocks}
    return [without_times(value) for value in result] if isinstance(result, list) else result


def kill_at(function, at, *, before):
    """``function``, raising Killed before or after its call number ``at``."""
    calls = 0

    def wrapped(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == at and before:
            raise Killed
        result = function(*args, **kwargs)
        if calls == at:
            raise Killed
        return result

    return wrapped


def test_a_run_killed_anywhere_ends_with_the_same_bits(run, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    assert [line["step"] for line in whole["curve"]] == [10, 20, 30, 40]
    places = [(run_folder.Metrics, "append"), (train.checkpoint, "save")]
    for owner, name in places:
        for at in (1, 3, 4):
            for before in (True, False):
                path = tmp_path / f"{name}{at}{before}"
                with monkeypatch.context() as patch:
                    patch.setattr(owner, name, kill_at(getattr(owner, name), at, before=before))
                    with pytest.raises(Killed):
                        run(path)
                assert without_times(run(path)) == without_times(whole)
                steps = [line["step"] for line in run_folder.read_lines(path / "metrics.jsonl")]
                assert steps == [10, 20, 30, 40]


class Moments:
    """Counts the moments before and after every call that writes something, and kills at one of
    them."""

    places = (
        (programs_of_a_job.Programs, "chunk"),
        (run_folder.Metrics, "append"),
        (train.checkpoint, "save"),
        (train, "save_model"),
        (run_folder, "write_json"),
    )

    def __init__(self, patch):
        self.count, self.at = 0, None
        for owner, name in self.places:
            patch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, function):
        def wrapped(*args, **kwargs):
            self._pass()
            result = function(*args, **kwargs)
            self._pass()
            return result

        return wrapped

    def _pass(self):
        self.count += 1
        if self.count == self.at:
            raise Killed


def test_each_start_gets_on_by_a_chunk_at_least(run, tmp_path, monkeypatch):
    """Although each is killed long before the usual time of a checkpoint."""
    whole, path, chunk = run(tmp_path / "whole"), tmp_path / "run", runner.Programs.chunk
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 1e9)
    left = 0

    def chunk_or_die(*args):
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return chunk(*args)

    monkeypatch.setattr(runner.Programs, "chunk", chunk_or_die)
    for begun in range(len(whole["curve"])):
        assert (train.checkpoint.latest_step(path / "checkpoints") or 0) == 10 * begun
        left = 1
        if begun + 1 < len(whole["curve"]):
            with pytest.raises(Killed):
                run(path)
        else:
            assert without_times(run(path)) == without_times(whole)


def test_twenty_kills_at_random_moments_change_no_bit(tmp_path, monkeypatch):
    """For runs that end when they solve a task on the training stream, with checkpoints after every
    chunk, after some, or only at the end."""
    job, programs = halved.compiled("training")
    rng, moments = np.random.default_rng(1997), Moments(monkeypatch)
    clock = iter(range(0, 10**6, 3))  # three seconds from a look to the next
    monkeypatch.setattr(runner, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))

    def run(path, at):
        moments.count, moments.at = 0, at
        runner.CHECKPOINT_SECONDS = rng.choice([-1.0, 4.0, 1e9])
        progress = Progress([job], Console(quiet=True))
        return runner.run_job(job, programs, path, progress, sweeping=False)

    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", -1.0)  # and back, when this is over
    whole = without_times(run(tmp_path / "whole", None))
    assert None in whole["solved"] and len(set(whole["solved"])) > 2
    total, kills, runs = moments.count, 0, 0
    while kills < 20:
        path, ended = tmp_path / str(runs), None
        while ended is None:
            try:
                ended = run(path, int(rng.integers(1, total + 1)) if kills < 20 else None)
            except Killed:
                kills += 1
        assert without_times(ended) == whole
        assert without_times(run_folder.read_lines(path / "metrics.jsonl")) == whole["curve"]
        for leaf, like in zip(weights(path), weights(tmp_path / "whole"), strict=True):
            np.testing.assert_array_equal(leaf, like)
        runs += 1
    assert runs > 2


def weights(path):
    return jax.tree.leaves(train.load_model(path / "model", run=None)[1])


def test_a_line_cut_off_in_writing_is_written_again(run, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    path = tmp_path / "cut"
    with monkeypatch.context() as patch:
        save = train.checkpoint.save
        patch.setattr(train.checkpoint, "save", kill_at(save, 3, before=True))
        with pytest.raises(Killed):
            run(path)
    metrics = path / "metrics.jsonl"
    metrics.write_text(metrics.read_text()[:-7])
    assert without_times(run(path)) == without_times(whole)


def test_event_files_have_each_step_of_a_killed_run_once(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        append = run_folder.Metrics.append
        patch.setattr(run_folder.Metrics, "append", kill_at(append, 3, before=False))
        with pytest.raises(Killed):
            run(tmp_path, tensorboard=True)
    result = run(tmp_path, tensorboard=True)
    found = scalars(tmp_path)  # which counts them
    for line in result["curve"]:
        for seed, loss in enumerate(line["train_loss"]):
            _, metrics = found[f"train_loss/seed_{seed}_rate_0.01", line["step"]]
            assert metrics == np.float32(loss)
    assert len(found) == 4 * 2 * 2


def test_seeds_do_not_depend_on_each_other_or_on_the_devices(job, run, tmp_path):
    whole = run(tmp_path / "whole")
    alone = job._replace(seeds=job.seeds[1:], learning_rates=job.learning_rates[1:])
    progress = Progress([alone], Console(quiet=True))
    result = runner.run_all([alone], tmp_path / "alone", progress)[0]
    assert result["test"] == whole["test"][1:]
    assert len(set(whole["test"])) == 2


def test_a_run_that_diverges_is_stopped_and_named_and_its_batch_is_kept(job, programs, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    spoilt = programs.state._replace(params=spoil(programs.state.params, run=1))
    train.checkpoint.save(tmp_path / "checkpoints", 20, {"state": spoilt})
    result = runner.run_job(job, programs, tmp_path, Progress([job], console), sweeping=False)
    text = console.file.getvalue()
    assert text.count("the loss is nan") == 1
    assert "adding(4) rnn, seed 1, learning rate 0.01: the loss is nan at step 20" in text
    assert result["test"][0] is not None and result["test"][1] is None
    assert [line["train_loss"][1] for line in result["curve"]] == [None, None]
    (setting,) = summary.summarize("x", [job], [result])["settings"]
    assert report.make_table(setting)[1][0][4:6] == [
        "diverged",  # the median of two, of which one is infinite
        f"{result['test'][0]:.4f} to diverged",
    ]
    assert not (tmp_path / "not_finite" / "0").exists()
    replayed = replay.replay(job, 1, tmp_path)
    assert np.isnan(replayed.loss) and np.isnan(replayed.gradient_norms["readout.w"])


def test_what_is_kept_of_a_bad_step_is_the_batch_that_it_met(job, programs, tmp_path):
    """If the loss is bad for some batches only, the kept batch is one of them."""
    before, good = programs.state, np.array([True, True])
    _, metrics, _ = programs.chunk(before, good)
    worst = int(metrics.loss[1, 1:].argmax()) + 1
    marked = np.array(metrics.loss)
    marked[1, worst:] = np.nan
    lines = [{"train_loss": [0.1, None]}]
    replay.keep(job, before, metrics._replace(loss=marked), lines, tmp_path / "not_finite")
    replayed = replay.replay(job, 1, tmp_path)
    np.testing.assert_allclose(replayed.loss, metrics.loss[1, worst], rtol=1e-5)
    assert train.checkpoint.latest_step(tmp_path / "not_finite" / "1") == worst


def test_a_job_whose_runs_all_diverge_ends_and_others_go_on(job, programs, tmp_path):
    spoilt = spoil(spoil(programs.state.params, run=1), run=0)
    state = programs.state._replace(params=spoilt)
    train.checkpoint.save(tmp_path / "checkpoints", 20, {"state": state})
    progress = Progress([job], Console(quiet=True))
    result = runner.run_job(job, programs, tmp_path, progress, sweeping=False)
    assert result["test"] == [None, None] and len(result["curve"]) == 1


def spoil(params, run):
    """Puts NaN into one run's readout."""
    bias = params["readout"]["b"].at[run].set(float("nan"))
    return {**params, "readout": {**params["readout"], "b": bias}}


@pytest.fixture
def listens_to_control_c():
    """Makes Ctrl-C raise KeyboardInterrupt, which a process started in the background may
    ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listens_to_control_c")
def test_control_c_waits_for_a_checkpoint_to_be_written():
    done = False
    with pytest.raises(KeyboardInterrupt), runner.delay_interrupts():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


# The command as a user gives it, but with a checkpoint after every chunk. It begins no more chunks
# than its first argument says, and then waits to be killed: however slow or fast the machine is, it
# is not through before. Whoever started it may ignore Control-C; it does not.
CHILD = """
import signal, sys, time
from experiments.harness.run import runner
from experiments.__main__ import main
from lstm_jax import use_cpu_cores

left, chunk = int(sys.argv[1]), runner.Programs.chunk

def chunk_or_wait(*args):
    global left
    if left == 0:
        time.sleep(300)
        sys.exit("nobody killed it")
    left -= 1
    return chunk(*args)

runner.Programs.chunk = chunk_or_wait
runner.CHECKPOINT_SECONDS = -1.0
signal.signal(signal.SIGINT, signal.default_int_handler)
use_cpu_cores()
sys.exit(main(sys.argv[2:]))
"""


def command(out):
    options = "--lengths 4 --cells rnn --seeds 2 --parameters 40 --steps 300 --every 10"
    options += " --learning-rate 0.01 --vectorize no"
    return ["adding", *options.split(), "--out", str(out)]


def start(out, chunks=-1):
    """Starts the command in its own process; -1 for all chunks."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(chunks), *command(out)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(flags)},  # the same bits
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_to_the_end(out):
    """Runs the command on a CPU, as the processes do, since a GPU would give other bits."""
    if jax.default_backend() == "cpu":
        assert main(command(out)) == 0
    else:
        assert start(out).wait() == 0


def wait_for_lines(child, path, count):
    deadline = time.monotonic() + 300
    while len(run_folder.read_lines(path)) < count:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.003)


@pytest.mark.slow
def test_kill_minus_nine_then_control_c_then_the_end(tmp_path):
    out, metrics = tmp_path / "run", tmp_path / "run" / "adding_4" / "rnn" / "metrics.jsonl"
    child = start(out, chunks=8)
    run_to_the_end(tmp_path / "whole")
    wait_for_lines(child, metrics, 5)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    done = len(run_folder.read_lines(metrics))
    assert 5 <= done <= 8
    child = start(out, chunks=5)
    wait_for_lines(child, metrics, done + 3)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode == 130, errors
    assert errors.strip().startswith("stopped; the same command continues from here")
    assert len(errors.strip().splitlines()) == 1
    child = start(out)
    output, errors = child.communicate()
    assert child.returncode == 0, errors
    assert "adding(4)" in output
    resumed, whole = (
        json.loads((path / "results.json").read_text()) for path in (out, tmp_path / "whole")
    )
    assert without_times(resumed) == without_times(whole)
    lines, expected = (
        [without_times(line) for line in run_folder.read_lines(path / "adding_4/rnn/metrics.jsonl")]
        for path in (out, tmp_path / "whole")
    )
    assert lines == expected and len(lines) == 30


@pytest.mark.slow
def test_a_short_run_that_is_killed_again_and_again_comes_to_its_end(tmp_path):
    """Each start is killed after a random part of the processor time of an uninterrupted run, most
    of which is compiling if no programs are kept."""
    options = "--lengths 100 --cells lstm gru --seeds 2 --steps 600 --every 50"
    arguments = ["adding", *options.split(), "--learning-rate", "0.01"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "true"}

    def run(name, seconds="unlimited"):
        """How the run ended, with SIGKILL after so many seconds on a processor."""
        limited = ["sh", "-c", f'ulimit -t {seconds}; exec "$@"', "sh"]
        command = [sys.executable, "-m", "experiments", *arguments, "--out", str(tmp_path / name)]
        environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / f"{name} programs")
        return subprocess.run(
            [*limited, *command], env=environment, cwd=Path(__file__).parents[2],
            capture_output=True,
        ).returncode  # fmt: skip

    before, rng, kills = os.times(), np.random.default_rng(25), 0
    assert run("whole") == 0
    after = os.times()
    took = after.children_user + after.children_system
    took -= before.children_user + before.children_system
    while ended := run("run", int(took * rng.uniform(0.25, 0.5))):
        assert ended == -signal.SIGKILL
        kills += 1
        assert kills < 14
    assert kills
    resumed, whole = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("run", "whole")
    )
    assert without_times(resumed) == without_times(whole)
