"""Compiled programs are kept between starts, and change no numbers."""

import os
import threading
import time
import zlib

import jax
import pytest
from jax import monitoring

from experiments.__main__ import main
from experiments.harness.run import program_cache, run_folder
from tests.experiments.test_resume import without_times

TINY = "--lengths 4 --cells rnn --seeds 2 --parameters 40 --steps 20 --every 10"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's cache folder; the cache is on, as it is for users."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(program_cache.THRESHOLD.upper(), raising=False)
    before = {
        name: getattr(jax.config, name)
        for name in ("jax_enable_compilation_cache", "jax_compilation_cache_dir")
    }
    program_cache.set_jax_options(
        {"jax_enable_compilation_cache": True, "jax_compilation_cache_dir": None}
    )
    yield tmp_path / "home"
    program_cache.set_jax_options(before)


@pytest.fixture
def hits():
    """The number of programs found in the cache, as JAX counts them."""
    found = []

    def listener(event, **_):
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    monitoring.register_event_listener(listener)
    yield lambda: len(found)
    monitoring.unregister_event_listener(listener)


def run(out, *more):
    """The measurements of a tiny run, whose programs are compiled or found in the cache."""
    jax.clear_caches()
    assert main(["adding", *TINY.split(), "--learning-rate", "0.01", "--out", str(out), *more]) == 0
    return without_times(run_folder.read_lines(out / "adding_4" / "rnn" / "metrics.jsonl"))


def programs(folder):
    return {file.name: file.read_bytes() for file in folder.rglob("*-cache")}


@pytest.mark.slow
def test_programs_are_kept_for_the_next_start_and_give_the_same_bits(home, hits, tmp_path):
    fresh = run(tmp_path / "fresh", "--no-cache")
    assert not home.exists() and len(fresh) == 2
    assert run(tmp_path / "first") == fresh
    kept, found = programs(home / "lstm_jax" / "programs"), hits()
    assert any(name.startswith("jit_one_device") for name in kept)
    assert run(tmp_path / "second") == fresh
    assert programs(home) == kept and hits() - found >= len(kept)


@pytest.mark.slow
@pytest.mark.filterwarnings("error:Error reading persistent compilation cache")
def test_programs_that_are_broken_are_compiled_again(home, tmp_path):
    expected = run(tmp_path / "whole")
    kept = programs(home)
    for i, file in enumerate(home.rglob("*-cache")):
        file.write_bytes((kept[file.name][: 20 * i], b"garbage", b"")[i % 3])
    assert run(tmp_path / "run") == expected
    assert programs(home).keys() == kept.keys()
    assert all(map(program_cache.is_whole, home.rglob("*-cache")))


def test_a_folder_that_cannot_be_written_to_is_a_warning(home, capsys):
    home.write_text("a file")
    with program_cache.cache():
        compile_anew()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"compiled programs are not cached: {home}")


def test_the_user_s_own_folder_is_taken_as_it_is(home, tmp_path):
    folder = tmp_path / "mine"
    program_cache.set_jax_options({"jax_compilation_cache_dir": str(folder)})
    with program_cache.cache():
        compile_anew()
    assert programs(folder) and not (folder / "tidied").exists() and not home.exists()
    assert jax.config.jax_compilation_cache_dir == str(folder)


def test_a_cache_that_the_user_turned_off_stays_off(home):
    program_cache.set_jax_options({"jax_enable_compilation_cache": False})
    with program_cache.cache():
        compile_anew()
    assert not home.exists()


def test_nothing_is_kept_once_a_run_is_over(home):
    with program_cache.cache():
        compile_anew()
    kept = programs(home)
    compile_anew()
    assert kept and programs(home) == kept and jax.config.jax_compilation_cache_dir is None


def compile_anew():
    jax.jit(lambda x: x + 25)(1.0)


def test_programs_unused_for_longest_go_first(tmp_path):
    program = packed(1000)
    for age, name in enumerate(("new", "used", "old", "oldest")):
        file = tmp_path / f"{name}-cache"
        file.write_bytes(program)
        written = time.time() - 1000 * age
        os.utime(file, (time.time() if name == "used" else written, written))
    program_cache.tidy(tmp_path, limit=len(program) * 2)
    assert programs(tmp_path).keys() == {"new-cache", "used-cache"}
    program_cache.tidy(tmp_path, limit=0)
    assert not programs(tmp_path)


def packed(size):
    return zlib.compress(os.urandom(size))


def test_processes_may_tidy_up_at_once(tmp_path):
    errors = []

    def tidy():
        try:
            program_cache.tidy(tmp_path, limit=0)
        except Exception as error:
            errors.append(error)

    for i in range(200):
        (tmp_path / f"{i}-cache").write_bytes(packed(9) if i % 2 else b"")
    threads = [threading.Thread(target=tidy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and not programs(tmp_path)
