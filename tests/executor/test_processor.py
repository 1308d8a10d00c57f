from __future__ import annotations

from pathlib import Path

import pytest

from aflint.executor import processor
from aflint.executor.processor import delayed_s


def test_a_thread_says_how_long_it_waited_for_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = delayed_s()
    assert delayed_s() >= before >= 0.0
    counts = tmp_path / "schedstat"
    monkeypatch.setattr(processor, "_COUNTS", str(counts))
    assert delayed_s() == 0.0  # another system, or a kernel that does not count
    counts.write_text("715214 1500000000 3\n")
    assert delayed_s() == 1.5
    counts.write_text("\n")
    assert delayed_s() == 0.0
