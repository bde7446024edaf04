"""What is installed - on Lambda, by a developer, in CI - is what was locked, and nothing with a known hole."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager
from chalice.utils import OSUtils
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infrastructure import locks, packaging
from infrastructure.account import DeploymentError
from infrastructure.packaging import Package, install, platforms
from infrastructure.stages import PROJECT

NO_WHEEL = "py3-none-macosx_11_0_arm64"
ANYWHERE = "py3-none-any"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all wheels that pip and uv can find."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"UV_NO_CONFIG": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def put(shelf: Path, name: str, platform: str = ANYWHERE) -> Path:
    """Make a wheel of version 1.0 with one module."""
    file = shelf / f"{name}-1.0-{platform}.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": b"ANSWER = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {platform}\n".encode(),
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n".encode(),
    }
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", "".join(record(path, content) for path, content in files.items()))
    return file


def record(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}\n"


def lock(file: Path, *wheels: Path, tampered: bool = False) -> Path:
    """A lock of these wheels, each with its hash, or with that of something else."""
    lines = []
    for wheel in wheels:
        digest = hashlib.sha256(b"something else" if tampered else wheel.read_bytes()).hexdigest()
        lines.append(f"{wheel.name.partition('-')[0]}==1.0 --hash=sha256:{digest}\n")
    file.write_text("".join(lines))
    return file


class TestLambda:
    def test_what_is_locked_is_installed(self, shelf: Path, tmp_path: Path):
        """For another processor than this machine's too."""
        install(lock(tmp_path / "a.lock", put(shelf, "alpha")), tmp_path / "there", "arm64")

        assert (tmp_path / "there" / "alpha.py").read_text() == "ANSWER = 42\n"

    def test_a_file_with_another_hash_stops_the_deployment(self, shelf: Path, tmp_path: Path):
        """Whoever put it into the index."""
        tampered = lock(tmp_path / "a.lock", put(shelf, "alpha"), tampered=True)

        with pytest.raises(DeploymentError, match=r"(?s)a\.lock could not be installed.*HASHES.*alpha"):
            install(tampered, tmp_path / "there", "arm64")

        assert not list(tmp_path.glob("there/**/*.py"))

    def test_a_package_without_a_hash_stops_the_deployment(self, shelf: Path, tmp_path: Path):
        """All or none are verified."""
        put(shelf, "alpha")
        (tmp_path / "a.lock").write_text("alpha==1.0\n")

        with pytest.raises(DeploymentError, match=r"Hashes are required"):
            install(tmp_path / "a.lock", tmp_path / "there", "arm64")

    def test_a_package_that_is_not_found_for_lambda_stops_the_deployment_by_name(self, shelf: Path, tmp_path: Path):
        """Chalice itself would print it and deploy a function that cannot start."""
        of_mac = lock(tmp_path / "a.lock", put(shelf, "alpha"), put(shelf, "beta", NO_WHEEL))

        with pytest.raises(DeploymentError, match=r"No matching distribution found for beta==1\.0"):
            install(of_mac, tmp_path / "there", "arm64")

    @pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
    def test_the_platforms_are_those_that_chalice_knows_of_lambda(self, python: str, monkeypatch: pytest.MonkeyPatch):
        """By its own table of glibc versions."""
        monkeypatch.setattr(packaging.sys, "version_info", _Version(python))
        builder = DependencyBuilder(OSUtils(), architecture="arm64")
        abi = LambdaDeploymentPackager._RUNTIME_TO_ABI[f"python{python}"]

        ours = {one.removeprefix("--platform=") for one in platforms("arm64")}

        assert ours == set(builder._get_pip_platforms(abi))


class TestPackage:
    def test_the_same_inputs_make_the_same_bytes(self, shelf: Path, tmp_path: Path):
        """So that a redeployment of unchanged code changes nothing; and it is made once."""
        wheel = put(shelf, "alpha")
        projects = [project(tmp_path / name, wheel) for name in ("one", "two")]

        first, second = (package(one).file() for one in projects)
        made_at = first.stat().st_mtime_ns

        assert first.read_bytes() == second.read_bytes()
        assert package(projects[0]).file().stat().st_mtime_ns == made_at

    def test_it_holds_the_lock_s_packages_and_our_own_code(self, shelf: Path, tmp_path: Path):
        """No program of pip's making, no cache of this machine, and of Chalice its runtime alone."""
        made = package(project(tmp_path / "one", put(shelf, "alpha"))).file()

        with zipfile.ZipFile(made) as archive:
            names = {name for name in archive.namelist() if not name.endswith(".pyc")}

        assert names == {
            *("alpha.py", "alpha-1.0.dist-info/METADATA", "alpha-1.0.dist-info/WHEEL"),
            *("alpha-1.0.dist-info/entry_points.txt", *PROJECT_FILES),
            *("chalice/__init__.py", "chalice/app.py"),
        }

    def test_it_keeps_the_models_of_the_services_that_are_called(self):
        """A client of another one could not be made on Lambda."""
        text = "".join(path.read_text() for path in (PROJECT / "chalicelib" / "wiring").glob("*.py"))
        called = set(re.findall(r'(?:clients\.of\(|clients\.of, |partial\(service, )"([\w-]+)"', text))

        assert called == packaging.SERVICES
        assert [path for path in (PROJECT / "chalicelib").rglob("*.py") if ".create_client(" in path.read_text()] == [
            PROJECT / "chalicelib" / "aws" / "clients.py"
        ]

    def test_another_lock_is_another_package(self, shelf: Path, tmp_path: Path):
        """One that was made before is not taken for it, and one that fails leaves none behind."""
        wheel = put(shelf, "alpha")
        made = project(tmp_path / "one", wheel)
        first = package(made).file()
        lock(made / packaging.LOCK, wheel, tampered=True)

        with pytest.raises(DeploymentError, match="HASHES"):
            package(made).file()

        assert list(first.parent.iterdir()) == [first]


def package(project: Path) -> Package:
    return Package(project, "arm64", ("app.app", "app.work"), {"STAGE": "dev"})


PROJECT_FILES = {
    "app.py": "from chalicelib import wiring\n",
    "chalicelib/__init__.py": "",
    "chalicelib/idle.py": "def use():\n    import colorsys\n",
    "chalicelib/wiring.py": """
from botocore.session import Session

class Engine:
    clients = property(lambda self: self)
    def of(self, service):
        return Session().create_client(service)

def build_on_lambda():
    import json

engine = Engine
""",
}
"""The least that has what is asked for when modules are compiled."""


def project(folder: Path, wheel: Path) -> Path:
    (folder / "chalicelib" / "__pycache__").mkdir(parents=True)
    (folder / "chalicelib" / "__pycache__" / "left.cpython-311.pyc").write_bytes(b"left behind")
    for name, text in PROJECT_FILES.items():
        (folder / name).write_text(text)
    lock(folder / packaging.LOCK, wheel)
    return folder


class _Version(tuple[int, int]):
    """Stands for `sys.version_info`."""

    __slots__ = ()

    def __new__(cls, text: str):
        return super().__new__(cls, map(int, text.split(".")))

    major = property(lambda self: self[0])
    minor = property(lambda self: self[1])


INSTALLERS = {"pip": "", "uv": shutil.which("uv") or ""}


class TestMake:
    @pytest.mark.parametrize("installer", INSTALLERS)
    @pytest.mark.parametrize("target", [".venv/made-local", ".venv/made-dev", ".venv-aws/made", ".venv-lock/made"])
    def test_a_file_with_another_hash_stops_the_set_up(self, shelf: Path, tmp_path: Path, target: str, installer: str):
        """Of each environment, with uv and with pip."""
        if installer == "uv" and not INSTALLERS["uv"]:
            pytest.skip("uv is not here")
        folder = of_developer(tmp_path / "project", put(shelf, "alpha"))

        done = subprocess.run(
            ["make", f"UV={INSTALLERS[installer]}", f"PYTHON={folder / 'python'}", target],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode
        assert "hash" in done.stderr.lower()
        assert "alpha" in done.stderr
        assert not (folder / target).exists()

    def test_every_installation_is_of_a_lock(self):
        """The Makefile has one way to install, which demands hashes of both installers."""
        text = (PROJECT / "Makefile").read_text()
        calls = [line for line in text.splitlines() if "pip install" in line or "$(PIP)" in line]
        pip, install, program = (line for line in calls if not line.startswith("#"))

        assert pip.startswith("PIP := ")
        assert install.count("--require-hashes") == 2, "with uv and with pip"
        assert program.endswith("$(PIP) --no-index --no-build-isolation --no-deps --editable ."), "downloads nothing"

    def test_ci_runs_on_the_locks_and_audits_them(self):
        """By the targets of make, which set up by the locks."""
        steps = (PROJECT / ".ci" / "run").read_text().splitlines()

        assert [one.split()[1] for one in steps if one.startswith("make")] == [
            "check",
            "test",
            "proofs",
            "audit",
            "deploy-check",
        ]
        assert not [one for one in steps if "pip" in one]


PYTHON = """#!/bin/sh
case "$*" in
  "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python";;
  *) exec {python} "$@";;
esac
"""
"""Makes an environment in no time: one that is this test's own. Nothing is ever installed in it."""


def of_developer(folder: Path, wheel: Path) -> Path:
    """The Makefile with locks that are tampered with, and a Python to make environments with."""
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(PROJECT / name, folder)
    for stem in locks.LOCKS:
        lock(folder / f"{stem}.lock", wheel, tampered=True)
    (folder / "python").write_text(PYTHON.format(python=sys.executable))
    (folder / "python").chmod(0o755)
    return folder


class TestLocks:
    @pytest.mark.parametrize("stem", locks.LOCKS)
    def test_a_lock_has_a_version_within_each_range(self, stem: str):
        """`make lock` was run after the last change of a range."""
        locked = versions(stem)

        missed = [str(one) for one in wanted(stem) if not any(map(one.specifier.contains, locked.get(key(one), [])))]

        assert missed == [], "run `make lock`"

    @pytest.mark.parametrize("stem", locks.LOCKS)
    def test_each_version_has_hashes_and_no_place(self, stem: str):
        """Neither an index nor a mirror of one's own is written down."""
        text = (PROJECT / f"{stem}.lock").read_text()
        entries = text.replace("\\\n", " ").splitlines()

        assert [one for one in entries if "==" not in one or "--hash=sha256:" not in one] == []
        assert "://" not in text
        assert "index" not in {word for line in entries for word in line.split() if word.startswith("--")}

    @pytest.mark.parametrize("name", ["cryptography", "lxml"])
    def test_a_lock_has_the_files_of_every_platform(self, name: str):
        """Three versions of Python, Linux and macOS, two processors each; this machine's alone would be a few."""
        text = (PROJECT / "requirements-dev.lock").read_text().replace("\\\n", " ")

        for entry in (one for one in text.splitlines() if one.startswith(f"{name}==")):
            assert entry.count("--hash=sha256:") > 12

    def test_tests_run_on_what_is_deployed(self):
        """Lambda's packages have the same versions in the development lock."""
        on_lambda, here = versions(locks.LAMBDA), versions(locks.DEVELOPMENT)

        assert {name for name, found in on_lambda.items() if not set(found) <= set(here[name])} == set()

    @pytest.mark.parametrize(("name", "holed"), [("multipart", "1.3.0"), ("urllib3", "2.6.2")])
    def test_no_version_with_a_known_advisory_is_allowed(self, name: str, holed: str):
        """The floor is above it, and so is what is locked."""
        (one,) = (one for one in wanted(locks.LAMBDA) if one.name == name)

        assert not one.specifier.contains(holed)
        assert all(one.specifier.contains(version) for stem in locks.LOCKS for version in versions(stem).get(name, []))


def wanted(stem: str) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in (PROJECT / f"{stem}.txt").read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def versions(stem: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in locks.pins(PROJECT / f"{stem}.lock"):
        (version,) = one.specifier
        found.setdefault(key(one), []).append(version.version)
    return found


def key(one: Requirement) -> str:
    return str(canonicalize_name(one.name))


class TestAudit:
    def test_an_advisory_fails_by_name(self):
        """With the version that mends it."""
        advisory = {"id": "PYSEC-1", "fix_versions": ["1.3.1"], "aliases": [], "description": ""}
        found = locks.read(report({"name": "multipart", "version": "1.3.0", "vulns": [advisory]}))

        assert (found.code, next(iter(found.lines()))) == (1, "multipart 1.3.0: PYSEC-1, fixed in 1.3.1")

    def test_a_clean_audit_passes(self):
        """And says how much was looked up."""
        found = locks.read(report({"name": "lxml", "version": "6.1.3", "vulns": []}))

        assert (found.code, list(found.lines())) == (0, ["1 locked packages audited, 0 advisories"])

    @pytest.mark.parametrize("told", ["", '{"dependencies": [{"name": "six", "skip_reason": "?"}]}'])
    def test_without_a_network_it_says_so_and_does_not_pass(self, told: str):
        """Where pip-audit fails, and where it passes over every package and calls that clean."""
        found = locks.read(told)

        assert found.code == 2
        (line,) = found.lines()
        assert line.startswith("NOT AUDITED: the database of advisories cannot be reached")

    def test_a_package_that_could_not_be_looked_up_is_named(self):
        """And the audit does not pass."""
        six = {"name": "six", "skip_reason": "?"}
        found = locks.read(report({"name": "lxml", "version": "6.1.3", "vulns": []}, six))

        assert found.code == 2
        assert "did not answer for six" in next(iter(found.lines()))

    def test_an_advisory_fails_whatever_else_could_not_be_looked_up(self):
        """CI lets an audit without a network pass, and no advisory."""
        advisory = {"id": "PYSEC-1", "fix_versions": []}
        found = locks.read(
            report({"name": "six", "skip_reason": "?"}, {"name": "x", "version": "1", "vulns": [advisory]})
        )

        assert found.code == 1

    def test_the_command_ends_as_the_audit_does(self, monkeypatch: pytest.MonkeyPatch, capsys):
        """Only `--may-be-offline` lets one without a network pass, and it says so all the same."""
        monkeypatch.setattr(locks, "audit", lambda: locks.read(""))

        codes = [locks.main(["audit"]), locks.main(["audit", "--may-be-offline"]), locks.main(["audit", "--other"])]

        assert codes == [2, 0, 64]
        assert capsys.readouterr().out.count("NOT AUDITED") == 2


def report(*dependencies: dict[str, object]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})
