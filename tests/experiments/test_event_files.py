"""Event files, read back by their format: each record has a length, its checksum, the data and
their checksum."""

import struct
import sys
import types

from tensorboardX.proto.event_pb2 import Event

from experiments.__main__ import main
from experiments.harness.run import event_files
from experiments.harness.run.jobs import Job


def scalars(path):
    """``(tag, step) -> (seconds, value)`` from a job's folder; no tag has the same step twice."""
    (file,) = (path / "tensorboard").iterdir()
    data, at, found = file.read_bytes(), 0, {}
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        at += 12 + length + 4
        for value in event.summary.value:
            assert (value.tag, event.step) not in found
            found[value.tag, event.step] = event.wall_time, value.simple_value
    return found


def made_job():
    score = types.SimpleNamespace(name="exact match")
    setting = types.SimpleNamespace(task=types.SimpleNamespace(score=score))
    return Job(setting, "rnn", None, 0, (0, 1), (0.25, 1e-3))


def test_lines_are_written_with_a_tag_a_run_and_training_time(tmp_path):
    lines = [
        {"step": 10, "seconds": 1.5, "train_loss": [0.5, 0.25], "validation": [0.0, 1.0]},
        {"step": 20, "seconds": 2.0, "train_loss": [0.125, None], "validation": [0.5, None]},
    ]
    written = event_files.Events(made_job(), tmp_path, lines[:1])
    written.add(lines[1])
    written.close()
    whole = scalars(tmp_path)
    assert whole == {
        ("train_loss/seed_0_rate_0.25", 10): (1.5, 0.5),
        ("train_loss/seed_1_rate_0.001", 10): (1.5, 0.25),
        ("validation_exact_match/seed_0_rate_0.25", 10): (1.5, 0.0),
        ("validation_exact_match/seed_1_rate_0.001", 10): (1.5, 1.0),
        ("train_loss/seed_0_rate_0.25", 20): (3.5, 0.125),
        ("validation_exact_match/seed_0_rate_0.25", 20): (3.5, 0.5),
    }
    event_files.Events(made_job(), tmp_path, lines).close()
    assert scalars(tmp_path) == whole


def test_a_missing_library_is_one_line_before_anything_is_trained(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    out = tmp_path / "run"
    command = ["adding", "--lengths", "4", "--cells", "rnn", "--parameters", "40"]
    assert main([*command, "--learning-rate", "0.1", "--tensorboard", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: tensorboard: ") and "tensorboardX" in line
    assert not out.exists()
