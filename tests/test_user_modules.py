from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cloudpickle
import pytest
from packaging.requirements import Requirement

import aflint
from aflint import user_modules
from aflint.user_modules import OURS, UserModules, is_users


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "my_module_of_records.py").write_text("")
    module = ModuleType("my_module_of_records")
    module.__file__ = str(tmp_path / "my_module_of_records.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module
    assert module.__name__ not in cloudpickle.list_registry_pickle_by_value()


def registered(module: ModuleType) -> bool:
    return module.__name__ in cloudpickle.list_registry_pickle_by_value()


@pytest.mark.parametrize("first_closed", [0, 1])
def test_a_session_that_closes_leaves_their_modules_to_others(
    module: ModuleType, first_closed: int
) -> None:
    sessions = [UserModules(on=True), UserModules(on=True)]
    for session in sessions:
        session.look()
    sessions[first_closed].forget()
    assert registered(module)
    sessions[1 - first_closed].look()
    sessions[1 - first_closed].forget()
    assert not registered(module)


def test_what_the_user_registered_stays(module: ModuleType) -> None:
    cloudpickle.register_pickle_by_value(module)
    session = UserModules(on=True)
    session.look()
    session.forget()
    assert registered(module)
    cloudpickle.unregister_pickle_by_value(module)
    session.forget()


def test_what_was_shipped_goes_by_name(module: ModuleType, tmp_path: Path) -> None:
    for place in (str(module.__file__), str(tmp_path)):
        for looked_before in (False, True):
            session = UserModules(on=True)
            if looked_before:
                session.look()
                assert registered(module)
            session.ship(place)
            session.look()
            assert not registered(module)
            session.forget()
    session = UserModules(on=True)
    session.ship(str(module.__file__)[:-1], str(tmp_path)[:-1], str(tmp_path / "other"))
    session.look()
    assert registered(module)
    session.forget()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from, which are forgotten at the end."""
    before = set(sys.modules)
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    user_modules._is_users.cache_clear()
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, *names: str) -> None:
    """Write empty modules; a name with a slash is that of a module in a package."""
    for name in names:
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("def f(x): return x\n")


def describe(folder: Path, name: str, kind: str = "dist-info", **files: str) -> None:
    """Write the metadata of a distribution."""
    described = folder / f"{name}-1.0.{kind}"
    described.mkdir(parents=True)
    heading = "METADATA" if kind == "dist-info" else "PKG-INFO"
    (described / heading).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    for file, text in files.items():
        (described / file.replace("__", ".")).write_text(text)


def users(name: str) -> bool:
    return is_users(importlib.import_module(name))


def test_a_module_beside_the_program_is_the_users(place: Path) -> None:
    write(place, "mod_a", "pkg_a/__init__", "pkg_a/deep", "namespace_a/inner")
    names = ("mod_a", "pkg_a", "pkg_a.deep", "namespace_a", "namespace_a.inner")
    assert all(map(users, names))


def test_a_distribution_is_installed_wherever_it_lies(place: Path) -> None:
    """As after `pip install --target`."""
    write(place, "pkg_b/__init__", "pkg_b/deep", "mod_b", "space_b/own", "mine_b")
    record = "pkg_b/__init__.py,sha256=x,1\npkg_b/deep.py,,\nmod_b.py,,\n../../bin/b,,\n"
    describe(place, "Other-Name", RECORD=record)
    describe(place, "space.b", top_level__txt="space_b\n")
    assert not any(map(users, ("pkg_b", "pkg_b.deep", "mod_b", "space_b.own")))
    assert users("mine_b")


def test_an_editable_install_is_the_users(place: Path, tmp_path: Path) -> None:
    """Its metadata lies elsewhere, or is what building left beside the source."""
    site = tmp_path / "site-packages"
    describe(site, "pkg-c", RECORD="_editable_impl_pkg_c.pth,,\npkg_c-1.0.dist-info/RECORD,,\n")
    write(place, "pkg_c/__init__", "pkg_d/__init__")
    describe(place, "pkg-d", "egg-info", top_level__txt="pkg_d\n", SOURCES__txt="pkg_d\n")
    sys.path.append(str(site))
    try:
        assert users("pkg_c")
    finally:
        sys.path.remove(str(site))
    assert users("pkg_d")


@pytest.fixture
def site_packages(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """site-packages within the folder of the standard library, as in most layouts."""
    library = place / "lib" / "python3.11"
    folder = library / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(user_modules, "_site_folders", lambda: frozenset((str(folder),)))
    monkeypatch.setattr(user_modules, "_library", lambda: (f"{library}{os.sep}",))
    return folder


def test_a_module_in_site_packages_that_no_distribution_brought_is_the_users(
    site_packages: Path,
) -> None:
    write(site_packages, "mod_e", "pkg_e/__init__", "old_e")
    describe(site_packages, "pkg_e", RECORD="pkg_e/__init__.py,,\n")
    describe(site_packages, "old_e", "egg-info", top_level__txt="old_e")
    write(site_packages.parent, "library_e")
    assert users("mod_e")
    assert not any(map(users, ("pkg_e", "old_e", "library_e")))


def test_where_a_distribution_does_not_say_what_it_brought_all_beside_it_is_installed(
    site_packages: Path,
) -> None:
    write(site_packages, "mod_f")
    describe(site_packages, "silent")
    assert not users("mod_f")


def test_a_package_installed_while_the_process_runs_is_noticed(place: Path) -> None:
    write(place, "mod_g", "mod_h")
    os.utime(place, (1, 1))
    assert users("mod_g")
    describe(place, "h", RECORD="mod_h.py,,\n")
    assert not users("mod_h")


def test_a_package_with_compiled_parts_is_not_pickled(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, "pkg_i/__init__", "pkg_i/plain", "pkg_ij/__init__")
    compiled = ModuleType("pkg_i._core")
    compiled.__file__ = f"{place}/pkg_i/_core{user_modules._EXTENSIONS[0]}"
    monkeypatch.setitem(sys.modules, compiled.__name__, compiled)
    assert not is_users(compiled)
    assert not any(map(users, ("pkg_i", "pkg_i.plain")))
    assert users("pkg_ij")


def test_modules_in_a_zip_are_told_apart_as_in_a_folder(place: Path) -> None:
    path = place / "app.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mod_k.py", "")
        archive.writestr("pkg_k/__init__.py", "")
        archive.writestr("pkg_l/__init__.py", "")
        archive.writestr("pkg_l-1.0.dist-info/METADATA", "Name: pkg_l\nVersion: 1.0\n")
        archive.writestr("pkg_l-1.0.dist-info/RECORD", "pkg_l/__init__.py,,\n")
    sys.path.insert(0, str(path))
    try:
        assert users("mod_k")
        assert users("pkg_k")
        assert not users("pkg_l")
    finally:
        sys.path.remove(str(path))


def test_a_module_of_the_users_may_be_called_like_one_of_pythons(place: Path) -> None:
    module = ModuleType("queue")
    module.__file__ = str(place / "queue.py")
    assert is_users(module)
    assert not any(map(users, ("queue", "asyncio.tasks", "encodings", "_struct", "sys", "numpy")))


def test_what_aflint_is_installed_with_is_never_the_users(place: Path) -> None:
    """Also in a vendored folder without metadata."""
    seen: set[tuple[str, frozenset[str]]] = set()

    def walk(requirement: Requirement) -> None:
        name, extras = plain(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            return
        try:
            needed = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            return
        seen.add((name, extras))
        for each in map(Requirement, needed):
            if each.marker is None or any(
                each.marker.evaluate({"extra": e}) for e in {"", *extras}
            ):
                walk(each)

    walk(Requirement("aflint[localcloud,pyspark,zstd]"))
    needed = {name for name, _ in seen}
    brought = importlib.metadata.packages_distributions().items()
    tops = {top for top, by in brought if needed.intersection(map(plain, by))}
    assert {"aiohttp", "lz4", "typer"} <= tops
    assert {top for top in tops if not top.endswith("-stubs")} <= OURS


def plain(name: str) -> str:
    """Return the name of a distribution as others write it, too."""
    return re.sub("[-_.]+", "-", name).lower()


PROGRAM = """
import sys
import aflint, helper, lz4.frame, msgpack, numpy
from aflint.user_modules import UserModules
import cloudpickle
assert aflint.__file__.startswith(sys.argv[1]), aflint.__file__
UserModules(on=True).look()
print(*sorted(cloudpickle.list_registry_pickle_by_value()))
"""


@pytest.mark.parametrize("metadata", [True, False])
def test_aflint_runs_from_any_folder(tmp_path: Path, metadata: bool) -> None:
    """`pip install --target vendored`, with PYTHONPATH=vendored; or what was copied there."""
    vendored, own = tmp_path / "vendored", tmp_path / "own"
    vendored.mkdir()
    write(own, "helper")
    (own / "program.py").write_text(PROGRAM)
    (vendored / "aflint").symlink_to(Path(aflint.__file__).parent)
    for path in Path(cloudpickle.__file__).parents[1].iterdir():
        top = re.split(r"[-.]", path.name)[0]
        wanted = top in OURS - {"aflint"} or top.startswith("numpy")
        if wanted and (metadata or path.suffix != ".dist-info"):
            (vendored / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-S", str(own / "program.py"), str(vendored)],
        env={"PYTHONPATH": str(vendored)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("helper\n", "")
