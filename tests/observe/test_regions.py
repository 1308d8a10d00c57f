"""Dollars of a region that has no prices: refused where they are asked for, and never another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import aflint
from aflint.cli.main import app
from aflint.cost.prices import _TABLES, US_EAST_1, prices_of
from aflint.errors import UnpricedRegionError
from aflint.observe.finding import latest_jobs
from aflint.observe.views import job_view

REFUSED = r"no prices for region 'eu-central-1'.*those of us-east-1.*price_region = \"us-east-1\""


def invoked(*words: str) -> str:
    return CliRunner().invoke(app, words, catch_exceptions=True).output


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


async def test_jobs_run_without_prices_and_no_dollars_are_told(history: Path) -> None:
    async with aflint.connect(workers=1, progress=False, region="eu-central-1") as session:
        (history / "numbers").write_text("1\n2\n")
        numbers = session.text_file(str(history / "numbers"))
        assert await numbers.count() == 2
        report = session.last_job
        assert report is not None
        assert report.dollars is None
        assert "dollars unknown" in report.summary()
        assert "$" not in str(report)
        assert "there are no prices for eu-central-1" in str(report)
        with pytest.raises(UnpricedRegionError, match=REFUSED):
            _ = report.cost
        with pytest.raises(UnpricedRegionError, match=REFUSED):
            _ = session.cost
        with pytest.raises(UnpricedRegionError, match=REFUSED):
            await numbers.explain(predict=True)
        with pytest.raises(UnpricedRegionError, match=REFUSED):
            await session.predict(numbers.count)
    # And so afterwards, by what the run has left.
    ((run, job),) = latest_jobs(5)
    view = job_view(run, job, 0.0)
    assert (view["dollars"], view["stages"][0]["dollars"]) == (None, None)
    for words in (["jobs"], ["jobs", job.id]):
        said = invoked(*words)
        assert "unknown" in said
        assert "$" not in said
    assert json.loads(invoked("jobs", "--json"))[0]["dollars"] is None
    for words in (["advise", job.id], ["simulate", "--from", job.id]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 1
        assert "no prices for region 'eu-central-1'" in " ".join(result.output.split())


async def test_a_budget_needs_prices_and_a_region_asked_for_must_have_them() -> None:
    settings: dict[str, Any]
    for settings in ({"region": "eu-central-1", "budget_usd": 1.0}, {"price_region": "xx-mars-1"}):
        with pytest.raises(UnpricedRegionError, match="no prices for region"):
            async with aflint.connect(workers=1, progress=False, history_mb=0, **settings):
                pass


async def test_dollars_are_told_at_the_prices_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dataclasses import replace

    dear = replace(US_EAST_1, region="xx-mars-1", lambda_gb_second_x86=1.0, lambda_request=0.0)
    monkeypatch.setitem(_TABLES, "xx-mars-1", dear)
    assert prices_of("xx-mars-1") is dear
    events: list[Any] = []
    session = aflint.connect(
        workers=1, progress=False, history_mb=0, region="eu-central-1", price_region="xx-mars-1"
    )
    session.add_listener(events.append)
    async with session:
        numbers = session.range(10, num_slices=1)
        predicted = await numbers.explain(predict=True)
        assert predicted.prices is dear
        assert predicted.dollars.likely > 1e-5  # thousandths of a GB-second, each a dollar
        await numbers.count()
        report = session.last_job
        assert report is not None
        assert report.cost.total == pytest.approx(report.usage.gb_seconds)
        assert session.cost.total >= report.cost.total
    assert events[0].region == "xx-mars-1"
