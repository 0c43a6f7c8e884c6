"""The options that glibc gets, and that other systems get none. (``mallopt`` itself is tested in a
process of its own, since it cannot be undone.)"""

import ctypes
import platform
import subprocess
import sys

import pytest

import lstm_jax as lj
from lstm_jax._internal import allocator

# <malloc.h> of glibc, not of lstm_jax.
EXPECTED = {-4: 0, -1: -1, -2: 64 << 20, -8: 1}


class Library:
    """A stand-in for the C library, which records the calls of ``mallopt``."""

    def __init__(self, result=1):
        self.given = {}

        def mallopt(name, value):
            self.given[name] = value
            return result

        self.mallopt = mallopt
        self.gnu_get_libc_version = object()


def test_glibc_is_given_every_setting(monkeypatch):
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert lj.train.keep_freed_memory() is True
    assert library.given == EXPECTED


def test_a_setting_that_glibc_refuses_is_not_success(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(result=0))
    assert allocator.keep_freed_memory() is False


def test_a_library_that_is_not_glibc_is_left_alone(monkeypatch):
    library = Library()
    del library.gnu_get_libc_version
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert allocator.keep_freed_memory() is False and library.given == {}


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_a_system_without_such_a_library_is_left_alone(monkeypatch, error):
    def refuse(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert allocator.keep_freed_memory() is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="takes glibc")
def test_it_takes_effect_on_glibc_and_again_does_no_harm():
    """A large block stays resident after it is freed; without the call it is returned to the
    system."""
    program = """
import ctypes, importlib.util, sys
spec = importlib.util.spec_from_file_location("allocator", sys.argv[1])
allocator = importlib.util.module_from_spec(spec); spec.loader.exec_module(allocator)
if sys.argv[2] == "keep":
    assert allocator.keep_freed_memory() is True and allocator.keep_freed_memory() is True
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)
before = resident()
block = libc.malloc(256 << 20); ctypes.memset(block, 1, 256 << 20); libc.free(block)
print((resident() - before) >> 20)
"""

    def left(what):
        command = [sys.executable, "-c", program, allocator.__file__, what]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert left("keep") >= 250 and left("leave") <= 20
