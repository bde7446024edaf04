"""Each guarantee of the protocol has a label that stands at a guard in the code, in a test, and on docs/protocol.md."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

import pytest

ROOT = Path(__file__).parents[3]
PROTOCOL = ROOT / "chalicelib" / "protocol"
PAGE = (ROOT / "docs" / "protocol.md").read_text()
CHECKERS = ROOT / "tests" / "simulation"

_LABEL = re.compile(r"\b[A-Z][1-9]\b")
_GUARANTEE = re.compile(r"^    ([A-Z][1-9])  \S", re.MULTILINE)
_INVARIANT = re.compile(r"^(I[1-9])  ", re.MULTILINE)
_DIAGRAM = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_TRANSITION = re.compile(r"\b([a-zA-Z]): ([a-z]+(?: [a-z]+){0,2})")
_ROW = re.compile(r"^\| ([a-zA-Z]) \| ([a-z ]+)", re.MULTILINE)


def sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def files_of_tests() -> list[Path]:
    return [path for path in sources(ROOT / "tests") if path != Path(__file__)]


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text()), clean=False) or ""


def guarantees() -> dict[str, Path]:
    """The label of each guarantee, and the module whose docstring lists it."""
    listed: dict[str, Path] = {}
    for path in sources(PROTOCOL):
        for label in _GUARANTEE.findall(docstring(path)):
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


def diagrams(text: str) -> dict[str, str]:
    """The drawings of a text, each with its letters."""
    drawn = {one.strip("\n"): _TRANSITION.findall(one) for one in _DIAGRAM.findall(text)}
    return {one: letters for one, letters in drawn.items() if letters and "--" in one}


GUARANTEES = guarantees()
FUNCTIONS = {
    node.name
    for path in sources(PROTOCOL)
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef)
}


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
def test_a_guarantee_stands_at_a_guard_in_a_test_and_on_the_page(label: str):
    """As a comment or in the words of the function that keeps it; a caller may be the one to keep it."""
    at_guards = {path for path in sources(ROOT / "chalicelib") if label in labels(path)}
    in_tests = {path for path in files_of_tests() if label in labels(path)}

    assert at_guards, f"{label} stands at no guard"
    assert in_tests, f"{label} stands in no test"
    assert re.search(rf"\b{label}\b", PAGE), f"{label} is not told by docs/protocol.md"


@pytest.mark.parametrize(
    "path", [*sources(ROOT / "chalicelib"), *files_of_tests()], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_label_in_code_or_test_is_a_guarantee(path: Path):
    """None that was renamed or dropped lingers."""
    assert labels(path) <= GUARANTEES.keys()


def test_a_label_on_the_page_is_a_guarantee_or_an_invariant():
    """None that was renamed or dropped lingers there."""
    families = {label[0] for label in GUARANTEES}
    told = {label for label in _LABEL.findall(PAGE) if label[0] in families}

    assert told <= GUARANTEES.keys()


def test_an_invariant_of_the_page_is_checked_and_its_checker_is_tested():
    """The page, the checkers' list, what they say, and the planted violations have the same numbers."""
    on_the_page = set(re.findall(r"^\| (I[1-9]) \|", PAGE, re.MULTILINE))
    listed = set(_INVARIANT.findall(docstring(CHECKERS / "invariants.py")))
    demanded = {
        label
        for name in ("invariants.py", "deployment.py", "simulation.py")
        for label in re.findall(r'"(I[1-9]): ', (CHECKERS / name).read_text())
    }
    planted = set(re.findall(r'@planted\("(I[1-9]): ', (CHECKERS / "test_checkers.py").read_text()))

    assert on_the_page == listed
    assert on_the_page == demanded | set(re.findall(r'f"(I[1-9]): ', (CHECKERS / "invariants.py").read_text()))
    assert on_the_page == planted


def test_the_drawings_of_the_page_are_those_of_the_code():
    """Letter for letter, both ways."""
    of_code = {drawing for path in sources(PROTOCOL) for drawing in diagrams(docstring(path))}

    assert set(diagrams(PAGE)) == of_code


def test_a_lettered_transition_is_drawn_told_and_a_function_of_the_protocol():
    """Each letter is one transition, with a row on the page that names the process and the condition."""
    drawn = {one for letters in diagrams(PAGE).values() for one in letters}
    told = {(letter, verbs.strip()) for letter, verbs in _ROW.findall(PAGE)}
    lower, upper = ("".join(sorted(one for one, _ in drawn if one.islower() is is_lower)) for is_lower in (True, False))

    assert lower == ascii_lowercase[: len(lower)], "of the promise"
    assert upper == ascii_uppercase[: len(upper)], "of unknown senders"
    assert told == drawn
    assert {verb.replace(" ", "_") for _, verb in drawn} <= FUNCTIONS


def test_each_write_of_the_protocol_is_told():
    """By a letter, or by a row among those that change no state: none is left out of the page."""
    written = {
        node.name.replace("_", " ")
        for path in sources(PROTOCOL)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and _writes(node)
    }
    lettered = {verb.strip() for _, verbs in _ROW.findall(PAGE) for verb in verbs.split(",")}
    table = PAGE.partition("writes change no state, and have no letter:\n\n")[2].partition("\n\n")[0]
    unlettered = set(re.findall(r"^\| ([a-z ]+) \|", table, re.MULTILINE)) - {"write"}

    assert written - lettered == unlettered


def _writes(function: ast.FunctionDef) -> bool:
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return any(
        isinstance(one, ast.Attribute)
        and one.attr in ("update", "put", "put_many", "delete", "delete_many")
        and isinstance(one.value, ast.Name)
        and one.value.id in ("table", "history")
        for one in calls
    )
