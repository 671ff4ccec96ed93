from __future__ import annotations

import json

import pytest

from bench import alternatives
from bench.alternatives import NETWORKS, Comparison, compare, table_of
from tests.conftest import needs_shared_data


def test_variants_take_turns() -> None:
    order: list[str] = []
    found = compare("letters", {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, seconds=0.01)
    assert order == ["a", "b"] * (len(order) // 2)
    assert len(order) > 2
    assert found.what == "letters"
    assert found.ms.keys() == {"a", "b"}


@needs_shared_data
def test_a_small_run_compares_batches_and_decoding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alternatives, "BATCHES", (1, 2))
    monkeypatch.setattr(alternatives, "FRAME_WIDTHS", (1280,))
    assert alternatives.main(["--seconds", "0.05", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [found["what"] for found in report["batches"]] == list(NETWORKS)
    assert all(found["ms"].keys() == {"1", "2"} for found in report["batches"])
    assert [len(found["ms"]) for found in report["decoding"]] == [2, 2]
    assert all(ms > 0 for found in report["decoding"] for ms in found["ms"].values())


def test_a_table_has_a_column_for_each_variant() -> None:
    text = table_of([Comparison("a frame", {"whole": 2.0, "as needed": 1.25})], "CPU ms")
    heads, cells = text.splitlines()
    assert heads.split() == ["CPU", "ms", "whole", "as", "needed"]
    assert cells.split() == ["a", "frame", "2.00", "1.25"]
