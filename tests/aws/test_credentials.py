from __future__ import annotations

from pathlib import Path

import pytest

from aflint.aws.credentials import FixedCredentials, credentials_for, find_region
from aflint.errors import ConfigError, CredentialsError


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\n")
    (tmp_path / "credentials").write_text(
        "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def test_the_environment_needs_no_library() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "AWS_SESSION_TOKEN": "C"}
    source = credentials_for(None, environ)
    assert isinstance(source, FixedCredentials)
    found = await source.get()
    assert (found.access_key, found.secret_key, found.token) == ("A", "B", "C")


async def test_a_named_profile_goes_before_the_environment() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}
    source = credentials_for("work", environ)
    assert (await source.get()).access_key == "AKIAWORK"
    assert (await source.get(fresh=True)).access_key == "AKIAWORK"
    assert find_region("work", environ) == "eu-north-1"


async def test_none_at_all() -> None:
    with pytest.raises(CredentialsError, match=r"aws configure"):
        await credentials_for(None, {}).get()


async def test_an_unknown_profile() -> None:
    with pytest.raises(CredentialsError, match="nobody"):
        await credentials_for("nobody", {}).get()
    with pytest.raises(ConfigError, match="nobody"):
        find_region("nobody", {})


async def test_half_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    with pytest.raises(CredentialsError, match="AWS_SECRET_ACCESS_KEY"):
        await credentials_for(None, {"AWS_ACCESS_KEY_ID": "A"}).get()
