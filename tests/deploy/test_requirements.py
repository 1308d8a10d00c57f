from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aflint.deploy.errors import RequirementError
from aflint.deploy.requirements import Requirements, requirements_of

INSTALLED = {
    "cloudpickle": ("3.1.2", []),
    "lz4": ("4.4.5", []),
    "msgpack": ("1.2.4", []),
    "pybase64": ("1.5.1", []),
    "numpy": ("2.4.6", []),
    "pandas": ("3.0.1", ["numpy>=2", "python-dateutil>=2", "extra-thing; extra == 'all'"]),
    "python-dateutil": ("2.9.0", ["six>=1.5"]),
    "six": ("1.17.0", []),
    "extra-thing": ("1", []),
    "local": ("1.0+here", []),
}


def find(name: str) -> Any:
    entry = INSTALLED.get(name.replace("_", "-").lower())
    return SimpleNamespace(version=entry[0], requires=entry[1]) if entry else None


def of(*packages: str, files: tuple[Path, ...] = ()) -> Requirements:
    return requirements_of(packages, files, installed=find)


def test_aflints_own_needs_are_pinned_to_the_drivers_versions() -> None:
    found = of()
    assert found.wanted == ("cloudpickle", "lz4", "msgpack", "pybase64")
    assert found.pins == (
        "cloudpickle==3.1.2",
        "lz4==4.4.5",
        "msgpack==1.2.4",
        "pybase64==1.5.1",
    )


def test_what_a_package_needs_is_pinned_too_but_no_extras() -> None:
    pins = of("Pandas").pins
    assert {"pandas==3.0.1", "numpy==2.4.6", "python-dateutil==2.9.0", "six==1.17.0"} <= set(pins)
    assert not any(pin.startswith("extra-thing") for pin in pins)


def test_a_version_written_down_wins() -> None:
    found = of("numpy==2.0.2", "msgpack>=1")
    assert not any(pin.startswith(("numpy", "msgpack")) for pin in found.pins)
    assert found.wanted == ("cloudpickle", "lz4", "pybase64", "numpy==2.0.2", "msgpack>=1")


def test_a_marker_is_no_version() -> None:
    assert "numpy==2.4.6" in of("numpy; python_version > '3'").pins
    assert "numpy==2.4.6" in of("numpy[x]").pins


def test_a_version_that_no_index_has_is_not_pinned() -> None:
    assert not any(pin.startswith("local") for pin in of("local").pins)


def test_zstandard_comes_along_where_the_driver_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INSTALLED, "zstandard", ("0.25.0", []))
    assert "zstandard" in of().wanted
    assert "zstandard==0.25.0" in of().pins


def test_a_requirements_file_is_read_for_pins(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# comment\n--index-url https://x\npandas  # why\nsix==1.16.0\n\n")
    found = of(files=(file,))
    assert "pandas==3.0.1" in found.pins
    assert not any(pin.startswith("six") for pin in found.pins)
    assert found.files == (file.resolve(),)


def test_the_digest_follows_everything_that_decides(tmp_path: Path) -> None:
    file, wheel = tmp_path / "r.txt", tmp_path / "x-1-py3-none-any.whl"
    file.write_text("six")
    wheel.write_bytes(b"one")
    digests = [of().digest(), of("six").digest(), of(files=(file,)).digest()]
    digests.append(of(str(wheel)).digest())
    file.write_text("numpy")
    wheel.write_bytes(b"two")
    digests += [of(files=(file,)).digest(), of(str(wheel)).digest()]
    assert len(set(digests)) == len(digests)
    assert of().digest() == of().digest()


@pytest.mark.parametrize("package", ["--upgrade", "", "?!", "-r x"])
def test_what_is_no_requirement_is_an_error(package: str) -> None:
    with pytest.raises(RequirementError, match="is not a requirement"):
        of(package)


def test_absent_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match=r"nowhere\.txt cannot be read"):
        of(files=(tmp_path / "nowhere.txt",))
    with pytest.raises(RequirementError, match=r"no wheel .*gone\.whl"):
        of("gone.whl")
