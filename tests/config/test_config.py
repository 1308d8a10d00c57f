from __future__ import annotations

import dataclasses
import json
import math
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.cli.config import as_text, json_of
from aflint.config import Config, cpu_count, load_config, settings
from aflint.errors import ConfigError
from tools import docs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_with_no_source_everything_is_a_default() -> None:
    config = load_config()
    assert config == Config()
    assert (config.backend, config.transport, config.max_attempts) == ("local", "auto", 4)
    assert config.workers == cpu_count() >= 1
    assert {config.origin(name) for name in settings()} == {"default"}


def test_later_sources_win(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "aflint.toml", "workers = 2\nsplit_mb = 2\nmax_attempts = 2\n")
    monkeypatch.setenv("AFLINT_SPLIT_MB", "3")
    monkeypatch.setenv("AFLINT_MAX_ATTEMPTS", "3")
    config = load_config(max_attempts=4)
    assert (config.workers, config.split_mb, config.max_attempts) == (2, 3, 4)
    assert config.origin("workers") == "aflint.toml, line 1"
    assert config.origin("split_mb") == "environment variable AFLINT_SPLIT_MB"
    assert config.origin("max_attempts") == "keyword max_attempts"
    assert config.origin("backend") == "default"


def test_a_given_file_wins_over_the_named_and_the_one_lying_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "aflint.toml", "workers = 1")
    assert load_config().workers == 1
    monkeypatch.setenv("AFLINT_CONFIG", str(write(folder / "named.toml", "workers = 2")))
    assert load_config().workers == 2
    assert load_config(write(folder / "given.toml", "workers = 3")).workers == 3


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_named_file_must_be_there(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFLINT_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no such configuration file"):
        load_config("nowhere.toml" if how == "argument" else None)


def test_a_folder_is_no_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(folder)


@pytest.mark.parametrize(
    "content", [b"workers == 2", b'prefix = "\xff"', b"workers = 1\nworkers = 2"]
)
def test_a_file_that_is_not_toml(folder: Path, content: bytes) -> None:
    path = folder / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml: is not valid TOML"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\nwrokers = 2", "line 3: there is no setting wrokers. Did you mean workers?"),
        ("split-mb = 2", "line 1: there is no setting split-mb. Did you mean split_mb?"),
        ("xyzzy = 1", "there is no setting xyzzy. `aflint config` lists all settings."),
        ("job_id = 'x'", "line 1: there is no setting job_id. Did you mean run_id?"),
        ("attempts_most = 1", "Did you mean max_attempts?"),
        ("# a\nworkers = '2'", 'line 2: workers = "2", but must be a whole number of at least 1.'),
        ("workers = 2.0", "workers = 2.0, but must be a whole number"),
        ("workers = true", "workers = true, but must be a whole number"),
        ("'workers' = 0", "line 1: workers = 0, but must be"),
        ("task_logs = 1", "task_logs = 1, but must be true or false."),
        ("task_logs = 'yes'", 'task_logs = "yes", but must be true or false.'),
        ("deadline_s = nan", "deadline_s = nan, but must be a number above 0, or none."),
        ("deadline_s = inf", "deadline_s = inf"),
        ("budget_usd = 0", "budget_usd = 0, but must be a number above 0"),
        ("message_limit_kib = 1025", "must be a whole number from 1 to 1024."),
        ("memory_mb = 127", 'must be a whole number from 128 to 10240, or "auto".'),
        ("backend = 'aw'", 'backend = "aw", but must be "local", "aws" or "localcloud".'),
        ("backend = 'AWS'", 'backend = "AWS", but must be'),
        ("bucket = 's3://mine'", "without s3://"),
        ("prefix = ''", "1 to 32 letters"),
        ("scratch_dir = ''", "scratch_dir"),
        ("workers = [1]", "workers = [1], but must be"),
        ("\n[workers]\nx = 1", "line 2: workers = {'x': 1}, but must be"),
        ("workers = 1\n[aflint]\nsplit_mb = 1", "line 2: there is no table [aflint]; write"),
        ("[tool.aflint]\nsplit_mb = 1", "line 1: there is no table [tool]"),
        ("aflint.workers = 1", "line 1: there is no table [aflint]"),
    ],
)
def test_a_wrong_file_is_told_where_and_what_is_allowed(
    folder: Path, text: str, message: str
) -> None:
    path = write(folder / "aflint.toml", text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("AFLINT_WORKERS", " 3 ", 3),
        ("AFLINT_TASK_LOGS", "Yes", True),
        ("AFLINT_TASK_LOGS", "0", False),
        ("AFLINT_PROGRESS", "off", False),
        ("AFLINT_PROGRESS", "None", None),
        ("AFLINT_DEADLINE_S", "2.5", 2.5),
        ("AFLINT_DEADLINE_S", "1e3", 1000.0),
        ("AFLINT_DEADLINE_S", "none", None),
        ("AFLINT_DEADLINE_S", "", None),
        ("AFLINT_BUCKET", "mine", "mine"),
    ],
)
def test_environment_variables_are_read_as_their_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    found = getattr(load_config(), variable.removeprefix("AFLINT_").lower())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("AFLINT_WORKERS", "two", 'workers = "two", but must be a whole number'),
        ("AFLINT_WORKERS", "2.5", 'workers = "2.5"'),
        ("AFLINT_WORKERS", "none", 'workers = "none"'),
        ("AFLINT_TASK_LOGS", "maybe", 'task_logs = "maybe", but must be true or false'),
        ("AFLINT_DEADLINE_S", "nan", "deadline_s = nan"),
        ("AFLINT_WORKER", "2", "there is no setting worker. Did you mean workers?"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert str(caught.value).startswith(f"environment variable {variable}: ")
    assert message in str(caught.value)


def test_variables_of_our_own_processes_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFLINT__ANYTHING", "1")
    assert load_config() == Config()


def test_keywords_are_checked_in_every_way_to_give_them() -> None:
    for make in (load_config, Config, Config().replace):
        with pytest.raises(ConfigError, match="workers = 0, but must be"):
            make(workers=0)
    for make in (load_config, Config().replace):
        with pytest.raises(ConfigError, match=r"keyword wrokers: .* Did you mean workers"):
            make(wrokers=0)


@pytest.mark.parametrize(
    ("name", "given", "held"),
    [
        ("fetch_timeout_s", 5, 5.0),
        ("budget_usd", Decimal("0.5"), 0.5),
        ("scratch_dir", Path("/x/y"), "/x/y"),
        ("checkpoint_dir", "s3://bucket/prefix", "s3://bucket/prefix"),
        ("workers", type("Index", (), {"__index__": lambda self: 3})(), 3),
        ("region", "us-gov-west-1", "us-gov-west-1"),
        ("function", "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST", None),
    ],
)
def test_what_means_the_same_is_taken(name: str, given: Any, held: Any) -> None:
    value = getattr(load_config(**{name: given}), name)
    held = given if held is None else held
    assert value == held
    assert type(value) is type(held)


def test_a_path_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert load_config(scratch_dir="~/scratch").scratch_dir == "/home/someone/scratch"


@pytest.mark.parametrize(
    ("backend", "transport", "fits"),
    [
        ("local", "auto", True),
        ("local", "file", True),
        ("local", "sqs", False),
        ("aws", "auto", True),
        ("aws", "hybrid", True),
        ("aws", "file", False),
        ("localcloud", "s3", True),
        ("localcloud", "file", False),
    ],
)
def test_a_transport_must_go_with_its_backend(backend: str, transport: str, fits: bool) -> None:
    if fits:
        assert load_config(backend=backend, transport=transport).transport == transport
    else:
        with pytest.raises(ConfigError, match=r"keyword transport: .* does not go with backend"):
            load_config(backend=backend, transport=transport)


def test_what_no_backend_carries_shuffles_by_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"keyword transport: .*file"):
        load_config(transport="memory")


@pytest.mark.parametrize(
    ("backend", "transport", "effective"),
    [
        ("local", "auto", "file"),
        ("local", "file", "file"),
        ("aws", "auto", "hybrid"),
        ("localcloud", "auto", "hybrid"),
        ("aws", "s3", "s3"),
    ],
)
def test_auto_is_decided_by_the_backend(backend: str, transport: str, effective: str) -> None:
    assert load_config(backend=backend, transport=transport).effective_transport == effective


def test_replace_keeps_the_rest_and_its_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFLINT_WORKERS", "3")
    config = load_config().replace(split_mb=1)
    assert (config.workers, config.split_mb) == (3, 1)
    assert config.origin("workers") == "environment variable AFLINT_WORKERS"
    assert config.origin("split_mb") == "keyword split_mb"


def test_it_is_frozen_hashable_and_picklable() -> None:
    config = load_config(workers=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.workers = 4  # type: ignore[misc]
    assert hash(config) == hash(Config(workers=3))
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert copy.origin("workers") == "keyword workers"


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(endpoint_url="http://user:hunter2@host:4566")
    assert "hunter2" not in str(caught.value)
    assert "no user or password" in str(caught.value)
    assert load_config(endpoint_url="http://127.0.0.1:4566").endpoint_url


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_is_held_as_it_was_or_refused(value: float) -> None:
    setting = settings()["deadline_s"]
    if math.isfinite(value) and value > 0:
        assert setting.check(value) == value
        assert setting.parse(repr(value)) == value
    else:
        with pytest.raises(ValueError, match="must be a number above 0"):
            setting.check(value)


@given(st.one_of(st.none(), st.text(), st.binary(), st.booleans(), st.lists(st.integers())))
def test_nothing_else_is_ever_taken_for_a_number(value: Any) -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        settings()["workers"].check(value)


@pytest.mark.parametrize("setting", settings().values(), ids=lambda setting: setting.name)
def test_every_setting_is_documented_and_its_default_allowed(setting: Any) -> None:
    assert setting.help.endswith(".")
    assert setting.allowed()
    assert setting.check(getattr(Config(), setting.name)) == getattr(Config(), setting.name)


def test_the_documented_table_is_current() -> None:
    page = (docs.DOCS / "configuration.md").read_text()
    assert docs.fill(page) == page, "run `make docs`"


@pytest.mark.parametrize("name", ["memory_mb", "concurrency", "default_parallelism", "transport"])
def test_what_can_be_left_to_aflint_is_auto_from_every_source(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(getattr(load_config(**{name: "auto"}), name)) == "auto"
    write(folder / "aflint.toml", f'{name} = "auto"')
    config = load_config()
    assert str(getattr(config, name)) == "auto"
    assert getattr(config.replace(split_mb=1), name) == getattr(config, name)
    monkeypatch.setenv(f"AFLINT_{name.upper()}", "auto")
    assert str(getattr(load_config(), name)) == "auto"
    with pytest.raises(ConfigError, match=r'automatic.*"auto"'):
        load_config(**{name: "automatic"})


def test_auto_is_shown_as_it_is_written() -> None:
    assert as_text(load_config(memory_mb="auto").memory_mb) == '"auto"'
    shown = json.loads(json_of(load_config(concurrency="auto")))
    assert shown["concurrency"]["value"] == "auto"


def test_no_other_number_is_left_to_aflint() -> None:
    with pytest.raises(ConfigError, match="a whole number of at least 1"):
        load_config(workers="auto")
