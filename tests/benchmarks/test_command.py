"""The two commands from end to end at small sizes: what they write, and how they continue."""

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.harness import conduct, latency, ram
from benchmarks.harness.build import Disagreement
from benchmarks.studies import scaling
from tests.benchmarks.test_contenders import without

TINY = "--cells lstm --shapes 4x3x2x5 1x3x2x5 --layers 1 --peers flax torch --rounds 3"
OFF = "--no-keep-memory --no-memory --no-allocator"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run without PyTorch, which was killed after its first comparison and continued."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "SIZES", (4,))
        patch.setattr(latency, "CALLS", 2)
        patch.setattr("benchmarks.harness.timing.WARM_UP_SECONDS", 0.0)
        patch.setattr("benchmarks.harness.timing.MATRIX_SIZE", 16)
        without(patch, "torch")
        measure, calls = conduct.measure, []

        def killed(key, *rest):
            calls.append(str(key))
            if len(calls) == 2:
                raise KeyboardInterrupt
            return measure(key, *rest)

        patch.setattr(conduct, "measure", killed)
        command = [*TINY.split(), *OFF.split(), "--out", str(out)]
        assert main(command) == 130 and main(command) == 0
        assert calls == ["lstm 4x3x2x5", "lstm 1x3x2x5", "lstm 1x3x2x5"]
    return out, command


@pytest.mark.slow
def test_the_report_has_the_numbers_of_the_run(finished):
    out, _ = finished
    results = json.loads((out / "results.json").read_text())
    several, single = results["results"]
    assert several["shape"] == "4x3x2x5" and single["shape"] == "1x3x2x5"
    assert set(several["columns"]) == {"lstm_jax@1", "lstm_jax@4", "flax@1", "flax@4"}
    assert set(single["columns"]) == {"lstm_jax@1", "flax@1"}  # one row cannot be spread
    for facts in several["columns"].values():
        assert len(facts["both_ms"]) == len(facts["forward_ms"]) == 3
        assert facts["compile_seconds"] > 0 and facts["temporary_bytes"] >= 0
    assert {"machine", "settings", "versions", "jax", "latency"} <= results.keys()
    assert set(results["latency"][0]["microseconds"]) == {"lstm_jax", "flax"}
    text = (out / "report.md").read_text()
    assert "LSTM, forward and backward, 4 devices" in text and "One step at batch 1" in text
    assert (out / "ratios_lstm.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_missing_peer_is_an_empty_column_and_a_note(finished):
    text = (finished[0] / "report.md").read_text()
    assert "Empty column: PyTorch cannot be imported" in text
    row = next(line for line in text.splitlines() if line.startswith("| 4x3x2x5 |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] and cells[3:7] == ["", "", "", ""]


@pytest.mark.slow
def test_other_settings_are_refused_and_named(finished, monkeypatch, capsys):
    out, command = finished
    without(monkeypatch, "torch")
    assert main([*command[: command.index("--rounds")], "--rounds", "4", *OFF.split(),
                 "--out", str(out)]) == 1  # fmt: skip
    assert "rounds = 3, and this command has 4" in capsys.readouterr().err


@pytest.mark.slow
def test_a_contender_that_disagrees_stops_the_run(tmp_path, monkeypatch, capsys):
    def disagree(*_):
        raise Disagreement("Flax NNX: outputs differ")

    monkeypatch.setattr("benchmarks.harness.timing.WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr("benchmarks.harness.measure.require_equal", disagree)
    command = "--cells lstm --shapes 2x3x2x5 --layers 1 --peers flax --no-latency"
    assert main([*command.split(), *OFF.split(), "--out", str(tmp_path / "run")]) == 1
    assert "Flax NNX: outputs differ" in capsys.readouterr().err
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("wrong", ["--shapes 3x4", "--cells mgu", "--peers jraph"])
def test_what_is_not_there_is_refused_in_a_line(wrong, tmp_path, capsys):
    assert main([*wrong.split(), "--out", str(tmp_path / "run")]) == 2
    assert "expected" in capsys.readouterr().err


@pytest.mark.slow
def test_the_scaling_study_measures_the_base_once_and_streams(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.harness.timing.WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr("benchmarks.harness.timing.MATRIX_SIZE", 16)
    out = tmp_path / "scaling"
    command = "--base 2x3x2x5 --steps 3 6 --hidden 5 --batch 2 --layers 1 2 --rounds 3"
    command += " --stream-steps 95 --chunk 10 --stream-batch 2 --no-keep-memory"
    assert scaling.main([*command.split(), "--out", str(out)]) == 0
    results = json.loads((out / "results.json").read_text())
    points = [(point["axis"], point["value"]) for point in results["points"]]
    assert points == [("steps", 3), ("steps", 6), ("hidden", 5), ("batch", 2),
                      ("layers", 1), ("layers", 2)]  # fmt: skip
    assert len(list((out / "measured").iterdir())) == 1 + 3  # the stream; the base, and two more
    along = results["stream"]["along"]
    assert [at["steps"] for at in along] == list(range(10, 101, 10))
    seconds = [at["seconds"] for at in along]
    assert seconds == sorted(seconds)
    text = (out / "report.md").read_text()
    assert "## Along time steps T" in text and "## A long sequence" in text
    for name in ("growth", "stream"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")

    def never(*_):
        raise AssertionError("everything was measured before")

    monkeypatch.setattr(scaling, "measure", never)
    monkeypatch.setattr("benchmarks.harness.stream.measure", never)
    assert scaling.main([*command.split(), "--out", str(out)]) == 0


@pytest.mark.slow
def test_peak_ram_is_that_of_a_process():
    """At the size of this test the rise is small; it is None on a system that does not report
    it."""
    rise = ram.measure_in_subprocess("lstm_jax", "lstm", "64x64x8x64")
    assert rise is None or 1e6 < rise < 1e9
