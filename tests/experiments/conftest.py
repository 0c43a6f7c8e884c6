import gzip
import hashlib

import pytest

from lstm_jax.tasks import files
from lstm_jax.tasks.pairs import multi30k

ENGLISH = ["a dog", "a cat", "a man", "the dog"]
GERMAN = ["ein hund", "eine katze", "ein mann", "der hund"]
DOES = {"runs": "läuft", "sits here": "sitzt hier", "sleeps": "schläft", "barks": "bellt"}
SIZES = {"train": 14, "val": 3, "test_2016_flickr": 5}


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    """Made-up captions in the place of the published files, as lines by file name."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "translation").mkdir()
    pairs = [
        (f"{who} {does}.", f"{wer} {tut}.")
        for does, tut in DOES.items()
        for who, wer in zip(ENGLISH, GERMAN, strict=True)
    ] * 2
    lines, sums = {}, {}
    for stem, count in SIZES.items():
        some, pairs = pairs[:count], pairs[count:]
        for language, texts in zip(("en", "de"), zip(*some, strict=True), strict=True):
            name = f"{stem}.{language}.gz"
            packed = gzip.compress(("\n".join(texts) + "\n").encode())
            (folder / "translation" / name).write_bytes(packed)
            lines[name], sums[name] = list(texts), hashlib.sha256(packed).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi30k, "PUBLISHED", multi30k.PUBLISHED._replace(checksums=sums))
        patch.setenv(files.FOLDER_VARIABLE, str(folder))
        yield lines
