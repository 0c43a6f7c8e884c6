"""Files made in the format of published ones, served on this machine as if by the publisher."""

import contextlib
import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder: Path, module, monkeypatch, cache: Path) -> Iterator[None]:
    """Within it, ``module.PUBLISHED`` has the address and the checksums of what is in ``folder``
    now, and downloads go to ``cache``."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    here = f"http://127.0.0.1:{server.server_port}/"
    known = module.PUBLISHED._replace(address=here, checksums=sums)
    monkeypatch.setattr(module, "PUBLISHED", known)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("LSTM_JAX_DATA", raising=False)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
