"""The package that Lambda gets: what requirements.lock names, verified by its hashes, and our own code.

Chalice's own packager resolves the ranges of requirements.txt again, verifies nothing, and only prints which packages
it could not find. This one takes its place inside Chalice's process. It installs the lock for Lambda's platform; a file
with another hash, or a package without one for that platform, stops the deployment. The same inputs make the same
bytes, so that a redeployment of unchanged code changes nothing.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infrastructure import bytecode
from infrastructure.account import DeploymentError
from infrastructure.bytecode import compile_imported

LOCK = "requirements.lock"

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""By Lambda's name of an architecture, that of Python's wheels."""

_OLDEST_GLIBC = 17
_GLIBC = {"python3.11": 26}
_GLIBC_SINCE = 34
"""The minor version of glibc 2 in Lambda's runtimes: Amazon Linux 2 up to Python 3.11, Amazon Linux 2023 since."""

_RUNTIME_FILES = ("chalice/__init__.py", "chalice/app.py")
"""What the functions need of Chalice, as its own packager picks it; the rest of it deploys."""

_LEFT_OUT = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""What an installation writes about itself."""

SERVICES = frozenset({"bedrock-runtime", "dynamodb", "s3", "secretsmanager", "sqs", "sts"})
"""The services of AWS that the functions call. botocore brings the models of all, and lists them at each start."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """The package of one project, for one architecture and the Python that runs this."""

    project: Path
    architecture: str
    handlers: tuple[str, ...]
    """Of its functions, as Lambda names them."""
    variables: Mapping[str, str]
    """The environment of its functions."""

    @property
    def python(self) -> str:
        """Lambda's name of the runtime."""
        return f"python{sys.version_info.major}.{sys.version_info.minor}"

    def file(self) -> Path:
        """The package; made, unless it was made before from the same inputs.

        Raises:
            DeploymentError: a package could not be installed, or is not the one that was locked.
        """
        suffix = "" if self.architecture == "x86_64" else f"-{self.architecture}"
        made = self.project / ".chalice" / "deployments" / f"{self._digest()}-{self.python}{suffix}.zip"
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory() as folder:
                self._build(Path(folder))
                unfinished = made.with_suffix(".unfinished")
                _write(Path(folder), unfinished)
                unfinished.replace(made)
        return made

    def own(self) -> Iterator[tuple[Path, str]]:
        """Our own files and Chalice's runtime, each with its place in the package."""
        import chalice  # noqa: PLC0415  # takes a moment, and only a deployment needs it

        for name in _RUNTIME_FILES:
            yield Path(chalice.__file__).parent.parent / name, name
        yield self.project / "app.py", "app.py"
        for path in sorted((self.project / "chalicelib").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, path.relative_to(self.project).as_posix()

    def _digest(self) -> str:
        """Of everything that the package is made of and by."""
        digest = hashlib.sha256(f"{sys.version} {self.architecture}".encode())
        recipes = [(Path(one), Path(one).name) for one in (__file__, bytecode.__file__)]
        for path, name in (*recipes, (self.project / LOCK, LOCK), *self.own()):
            content = path.read_bytes()
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _build(self, folder: Path) -> None:
        install(self.project / LOCK, folder, self.architecture)
        shutil.rmtree(folder / "bin", ignore_errors=True)  # programs for a shell, which name this machine's Python
        for path in folder.glob("*.dist-info/*"):
            if path.name in _LEFT_OUT:
                path.unlink()
        for path in (folder / "botocore" / "data").glob("*/"):
            if path.name not in SERVICES:
                shutil.rmtree(path)
        for path, name in self.own():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        compile_imported(folder, self.project, self.handlers, self.variables)


def install(lock: Path, folder: Path, architecture: str) -> None:
    """Install a lock for Lambda into a folder; each file is verified, and none is built here.

    Raises:
        DeploymentError: one line with what pip says.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile", f"--target={folder}"]
    command += ["--implementation=cp", f"--python-version={version}", *platforms(architecture)]
    done = subprocess.run(  # noqa: S603  # ourselves
        [*command, f"--requirement={lock}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DeploymentError(f"the packages of {lock.name} could not be installed for Lambda: {_reason(done.stderr)}")


def platforms(architecture: str) -> Iterator[str]:
    """Pip's options for the wheels that run on Lambda; it takes each platform literally and adds no older one."""
    newest = _GLIBC.get(f"python{sys.version_info.major}.{sys.version_info.minor}", _GLIBC_SINCE)
    machine = MACHINES[architecture]
    for minor in range(newest, _OLDEST_GLIBC - 1, -1):
        yield f"--platform=manylinux_2_{minor}_{machine}"
    yield f"--platform=manylinux2014_{machine}"


def _reason(words: str) -> str:
    """What pip says, in one line and without its warnings."""
    lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith("WARNING")]
    return " ".join(lines).removeprefix("ERROR: ") or "pip gives no reason"


def _write(folder: Path, file: Path) -> None:
    """Zip a folder: in a fixed order, without times and owners."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _LONG_AGO)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, path.read_bytes())
