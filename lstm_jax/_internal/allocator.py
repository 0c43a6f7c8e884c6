"""Keeps freed RAM mapped between calls, for programs on a CPU under glibc."""

import ctypes

# Names of glibc's malloc.h, with values that fit an int.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
SETTINGS = (
    (M_MMAP_MAX, 0),  # large blocks come from the heap, not from a mapping of their own
    (M_TRIM_THRESHOLD, -1),  # the heap is never given back
    (M_TOP_PAD, 64 * 2**20),  # it grows by 64 MiB at least
    (M_ARENA_MAX, 1),  # threads share the one heap that can grow without bound
)


def keep_freed_memory() -> bool:
    """Makes glibc's ``malloc`` keep freed blocks for the next call.

    By default a program maps its large temporaries anew in every call, and the kernel clears them
    page by page, which can take a third of the time of a long recurrence on a CPU. Afterwards the
    process never returns RAM to the system, and its threads share one heap.

    The setting holds for the whole process and cannot be undone, so importing lstm_jax does not
    make it. Call this before anything large is allocated and before threads are started. Further
    calls do no harm. Arrays on a GPU or TPU are not affected.

    Returns:
        True if the setting took effect. False, with nothing changed, if the C library is not glibc
        (macOS, Windows, musl).
    """
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # only glibc has it
        mallopt = library.mallopt
    except (OSError, TypeError, AttributeError):  # TypeError: CDLL(None) on Windows
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return all([mallopt(name, value) == 1 for name, value in SETTINGS])
