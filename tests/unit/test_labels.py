"""Each guarantee of the protocol has a label, a guard in the code that bears it, and a test that does."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "chalicelib" / "protocol"

_LABEL = re.compile(r"\b[A-Z][1-9]\b")
_GUARANTEE = re.compile(r"^    ([A-Z][1-9])  \S", re.MULTILINE)


def sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def files_of_tests() -> list[Path]:
    return [path for path in sources(ROOT / "tests") if path != Path(__file__)]


def guarantees() -> dict[str, Path]:
    """The label of each guarantee, and the module whose docstring lists it."""
    listed: dict[str, Path] = {}
    for path in sources(PROTOCOL):
        for label in _GUARANTEE.findall(ast.get_docstring(ast.parse(path.read_text()), clean=False) or ""):
            assert label not in listed, f"{label} is listed twice"
            listed[label] = path
    return listed


def comments(path: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def docstrings(path: Path) -> Iterator[str]:
    """Those of classes and functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


GUARANTEES = guarantees()


@cache
def labels(path: Path) -> frozenset[str]:
    """The labels that the comments and docstrings of a file bear, of the families that the protocol has."""
    families = {label[0] for label in GUARANTEES}
    texts = [*comments(path), *docstrings(path)]
    return frozenset(label for text in texts for label in _LABEL.findall(text) if label[0] in families)


def test_the_protocol_lists_its_guarantees():
    """Staging, the trigger lock, the conversation lock and the history, each numbered from one."""
    by_family: dict[str, list[int]] = {}
    for label in sorted(GUARANTEES):
        by_family.setdefault(label[0], []).append(int(label[1:]))

    assert {"S", "T", "L", "H"} <= by_family.keys()
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_family.values()), by_family


@pytest.mark.parametrize("label", sorted(GUARANTEES))
def test_a_guarantee_stands_at_a_guard_and_in_a_test(label: str):
    """As a comment or in the words of the function that keeps it; a caller may be the one to keep it."""
    at_guards = {path for path in sources(ROOT / "chalicelib") if label in labels(path)}
    in_tests = {path for path in files_of_tests() if label in labels(path)}

    assert at_guards, f"{label} stands at no guard"
    assert in_tests, f"{label} stands in no test"


@pytest.mark.parametrize(
    "path", [*sources(ROOT / "chalicelib"), *files_of_tests()], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_label_in_code_or_test_is_a_guarantee(path: Path):
    """None that was renamed or dropped lingers."""
    assert labels(path) <= GUARANTEES.keys()
