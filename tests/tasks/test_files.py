import hashlib
import http.server
import threading
from types import SimpleNamespace

import pytest

from lstm_jax.tasks import files
from tests.tasks.published import serve

GOOD = b"one\ntwo\n" * 1000


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A published file, and the folder that it is downloaded from and the cache."""
    source, cache = tmp_path / "source", tmp_path / "cache"
    source.mkdir()
    (source / "a.txt").write_bytes(GOOD)
    module = SimpleNamespace(PUBLISHED=files.Published("a_task", "a_folder", "", {}))
    with serve(source, module, monkeypatch, cache):
        yield module.PUBLISHED, source, cache


def kept(cache):
    return [path for path in cache.rglob("*") if path.is_file()]


def test_a_download_is_kept(published):
    known, source, cache = published
    path = files.find("a.txt", known)
    assert path.read_bytes() == GOOD and kept(cache) == [path]
    (source / "a.txt").unlink()
    assert files.find("a.txt", known) == path


@pytest.mark.parametrize("damaged", [GOOD[:-1], GOOD[:-1] + b"x", b""])
def test_an_altered_download_is_refused_and_not_kept(published, damaged):
    known, source, cache = published
    (source / "a.txt").write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(
            ValueError,
            match=r"a_task: expected the published a\.txt at http.*truncated or altered file, "
            r"which was not kept.*or set LSTM_JAX_DATA to a folder whose folder a_folder has a\.t",
        ):
            files.find("a.txt", known)
        assert not kept(cache)
    (source / "a.txt").write_bytes(GOOD)
    assert files.find("a.txt", known).read_bytes() == GOOD


def test_a_file_that_changed_in_the_cache_is_downloaded_again(published):
    known, source, _ = published
    path = files.find("a.txt", known)
    path.write_bytes(GOOD[:-3])
    assert files.find("a.txt", known).read_bytes() == GOOD
    path.write_bytes(GOOD[:-3])
    (source / "a.txt").write_bytes(GOOD[:-3])
    with pytest.raises(ValueError, match="altered file"):
        files.find("a.txt", known)


class Truncating(http.server.BaseHTTPRequestHandler):
    """Promises the whole file, and closes the connection before its end."""

    def do_GET(self):  # the name that http.server asks for
        self.send_response(200)
        self.send_header("Content-Length", str(len(GOOD)))
        self.end_headers()
        self.wfile.write(GOOD[: len(GOOD) // 2])

    def log_message(self, *_):
        pass


def test_a_connection_that_breaks_leaves_nothing(published):
    known, _, cache = published
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Truncating)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    broken = known._replace(address=f"http://127.0.0.1:{server.server_port}/")
    try:
        with pytest.raises((OSError, ValueError), match=r"a_task: .*a\.txt.*or set LSTM_JAX_DATA"):
            files.find("a.txt", broken)
    finally:
        server.shutdown()
        server.server_close()
    assert not kept(cache)


def test_a_missing_file_says_how_to_get_it(published, tmp_path, monkeypatch):
    known = published[0]
    with pytest.raises(FileNotFoundError, match=r"expected the files a\.txt in it, got no file .*"):
        files.find("a.txt", known, tmp_path)
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"a_folder/a\.txt \(a download needs LSTM_JAX_DATA unset\)"
    ):
        files.find("a.txt", known)


def test_a_file_of_another_checksum_is_read_only_if_asked_for(tmp_path):
    (tmp_path / "a.txt").write_bytes(GOOD)
    sum_of_good = hashlib.sha256(GOOD).hexdigest()
    known = files.Published("a_task", "a_folder", "", {"a.txt": sum_of_good})
    assert files.find("a.txt", known, tmp_path).read_bytes() == GOOD
    (tmp_path / "a.txt").write_bytes(GOOD[1:])
    with pytest.raises(ValueError, match=rf"SHA-256 {sum_of_good} \(or verify=False\), got "):
        files.find("a.txt", known, tmp_path)
    assert files.find("a.txt", known, tmp_path, verify=False).read_bytes() == GOOD[1:]


def test_text_is_read_in_the_first_encoding_that_fits(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("naïve\u2028x\r\nzwei".encode())
    assert files.read_lines(path, "words") == ["naïve\u2028x", "zwei"]
    path.write_bytes("one\nnaïve — two\n".encode("cp1252"))
    assert files.read_lines(path, "words", ("utf-8", "cp1252")) == ["one", "naïve — two"]
    with pytest.raises(ValueError, match=r"a\.txt, line 2: expected words in utf-8.*0xef"):
        files.read_lines(path, "words")
    path.write_bytes(b" \n\n")
    with pytest.raises(ValueError, match=r"a\.txt: expected words, got an empty file"):
        files.read_lines(path, "words")
