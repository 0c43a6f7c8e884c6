"""Simulates full disks and killed processes, at every moment that could matter.

There is such a moment before each line of the code that is watched, and before each call that
opens a file to write, renames or removes something. A process that is killed does nothing any
more: whatever it still tries fails.
"""

import contextlib
import errno
import os
import resource
import signal
import sys

CALLS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    pass


class _State:
    left = None  # moments until it happens; None where nothing is watched
    dead = False


def _pass():
    if _State.dead:
        raise Killed
    if _State.left is not None:
        _State.left -= 1
        if _State.left < 0:
            _State.dead = True
            raise Killed


def _hook(event, arguments):
    if event in CALLS or (event == "open" and arguments[2] & WRITES):
        _pass()


sys.addaudithook(_hook)  # which stays for good, and does nothing unless a kill is due


@contextlib.contextmanager
def killed(at, *modules):
    """Ends the block at its moment ``at``, counted in the lines of ``modules``. Yields whether it
    was killed, once it is over."""
    files = {module.__file__ for module in modules}

    def trace(frame, event, _):
        if frame.f_code.co_filename not in files:
            return None
        if event == "line" and not _State.dead:
            _pass()
        return trace

    was_killed = []
    before = sys.gettrace()
    _State.left = at
    sys.settrace(trace)
    try:
        yield was_killed
    except Killed:
        was_killed.append(True)
    finally:
        sys.settrace(before)
        _State.left, _State.dead = None, False


def kills(act, *modules):
    """Calls ``act`` again and again, killed at its first moment, its second and so on until one
    call is complete, and yields the number of the moment after each kill."""
    at = 0
    while True:
        with killed(at, *modules) as was_killed:
            act()
        if not was_killed:
            return
        yield at
        at += 1


@contextlib.contextmanager
def full_at(size):
    """No file can grow beyond ``size`` bytes: writing raises OSError, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def failing(patch, owner, name, at):
    """Call number ``at`` of ``owner.name`` fails as on a full disk."""
    function, calls = getattr(owner, name), iter(range(10**6))

    def wrapped(*args, **kwargs):
        if next(calls) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*args, **kwargs)

    patch.setattr(owner, name, wrapped)
