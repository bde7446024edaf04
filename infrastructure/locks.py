"""The lock files: every package with its version and the hashes of all its files, for Linux and macOS.

    python -m infrastructure.locks renew    resolve the newest versions that the ranges allow, and write the locks
    python -m infrastructure.locks audit    look every locked version up among the known advisories

Runs in `.venv-lock`, which has uv and pip-audit; `make lock` and `make audit` call it. The ranges are in the
`requirements*.txt`, what is installed is in the `requirements*.lock` beside them. Everything that a lock shares with
the development lock has the same version there, so that the tests run on what is deployed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent
OLDEST_PYTHON = "3.11"

LAMBDA, LOCAL, DEVELOPMENT = "requirements", "requirements-local", "requirements-dev"
LOCKS = (DEVELOPMENT, LOCAL, LAMBDA, "requirements-aws", "requirements-lock")
"""The stems of the files, in the order in which they are resolved."""

VULNERABLE, NOT_AUDITED = 1, 2
"""Exit codes of an audit."""

_LAMBDA = {"sys_platform": "linux", "platform_machine": "aarch64", "platform_system": "Linux"}


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    vulnerable: tuple[str, ...]
    """A line for each advisory that concerns a locked version."""
    unknown: tuple[str, ...]
    """The packages of which nothing could be learnt."""
    audited: int

    @property
    def code(self) -> int:
        """The exit code."""
        return VULNERABLE if self.vulnerable else NOT_AUDITED if self.unknown else 0

    def lines(self) -> Iterable[str]:
        """What is printed."""
        yield from self.vulnerable
        if self.unknown and not self.audited:
            yield "NOT AUDITED: the database of advisories cannot be reached; no package was checked."
        elif self.unknown:
            yield f"NOT AUDITED: the database of advisories did not answer for {', '.join(self.unknown)}."
        if self.audited:
            yield f"{self.audited} locked packages audited, {len(self.vulnerable)} advisories"


def read(report: str) -> Audit:
    """The result of pip-audit, from its report as JSON; a text that is none means that nothing was audited."""
    try:
        found: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return Audit((), ("every package",), 0)
    return Audit(
        vulnerable=tuple(
            f"{one['name']} {one['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or 'none yet'}"
            for one in found
            for known in one.get("vulns", [])
        ),
        unknown=tuple(one["name"] for one in found if "skip_reason" in one),
        audited=sum("skip_reason" not in one for one in found),
    )


def audit() -> Audit:
    """Look every locked version up. Fails, rather than passes, where the database of advisories does not answer."""
    command = [_program("pip-audit"), "--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
    named = [part for stem in LOCKS for part in ("--requirement", f"{stem}.lock")]
    done = subprocess.run([*command, *named], cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603  # ourselves
    return read(done.stdout)


def renew(*, keep: bool) -> int:
    """Write every lock; with `keep`, versions that still fit the ranges stay as they are. The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        shared = {stem: Path(folder) / f"{stem}.txt" for stem in (LOCAL, LAMBDA)}
        for stem in LOCKS:
            follows = ["--constraint", str(shared[stem])] if stem in shared else []
            command = [*_COMPILE, *([] if keep else ["--upgrade"]), *follows, "--output-file", f"{stem}.lock"]
            done = subprocess.run([*command, f"{stem}.txt"], cwd=PROJECT, check=False)  # noqa: S603  # ourselves
            if done.returncode:
                return done.returncode
            if stem == DEVELOPMENT:
                known = pins(PROJECT / f"{stem}.lock")
                shared[LOCAL].write_text("\n".join(map(str, known)))
                shared[LAMBDA].write_text("\n".join(_on_lambda(known)))
    return 0


def pins(lock: Path) -> list[Requirement]:
    """The packages of a lock, each with its version and its marker."""
    lines = (line.removesuffix("\\").strip() for line in lock.read_text().splitlines() if line[:1].isalnum())
    return [Requirement(line) for line in lines]


def _on_lambda(known: Iterable[Requirement]) -> Iterable[str]:
    """The versions that Lambda's platform gets; of their markers only those on Python's version are kept."""
    for one in known:
        marker = str(one.marker or "")
        if "python_full_version" in marker or "python_version" in marker:
            yield str(one)
        elif not marker or Marker(marker).evaluate(_LAMBDA):
            yield f"{one.name}{one.specifier}"


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


_COMPILE = [
    _program("uv"),
    *("pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"),
    *("--no-header", "--no-annotate"),
]


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    match arguments:
        case ["renew", *options] if set(options) <= {"--keep"}:
            return renew(keep="--keep" in options)
        case ["audit", *options] if set(options) <= {"--may-be-offline"}:
            found = audit()
            sys.stdout.writelines(f"{line}\n" for line in found.lines())
            return 0 if found.code == NOT_AUDITED and options else found.code
        case _:
            sys.stderr.write(__doc__ or "")
            return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
