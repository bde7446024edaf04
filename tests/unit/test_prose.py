"""Prose: pages, docstrings, comments, errors and command output use plain words."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("chalicelib", "ops", "local", "infrastructure", "bench", "examples")
PAGES = ("README.md", "SECURITY.md", "CONTRIBUTING.md")

BANNED = {
    r"whom": "name the person or thing again: who, which, the recipient",
    r"befall\w*|befell": "happen, fail, inject",
    r"let(s|ting)? go( of)?": "release, reset, drop",
    r"of one mind": "agree",
    r"what(ever)? (becomes|became|has become|had become) of": "the outcome of, the status of",
    r"what(ever)? (comes|came) of": "the result of",
    r"told (of|nothing)": "notified, informed, configured",
    r"tell(s|ing)? of": "describe, report, mention",
    r"the word for": "the name of, called",
}
"""Patterns of words that a page has no need of, and the plain words in their place."""

_BANNED = {re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE): plain for pattern, plain in BANNED.items()}


def comments_of(source: str) -> Iterator[tuple[int, str]]:
    """The blocks of comments on lines of their own or beside code, each with its first line's number."""
    first, last, block = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield first, block
            block = ""
        first = first if block else line
        block, last = f"{block} {token.string.lstrip('#').strip()}", line
    if block:
        yield first, block


def texts_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Every comment and every string: docstrings, errors, help texts and output."""
    yield from comments_of(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def texts_of_schema(value: Any) -> Iterator[tuple[int, str]]:
    """Every title and description."""
    if isinstance(value, dict):
        yield from ((1, value[name]) for name in ("title", "description") if isinstance(value.get(name), str))
        for each in value.values():
            yield from texts_of_schema(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of_schema(each)


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """What a reader of this file reads, in pieces that each begin on the line beside it."""
    source = path.read_text()
    match path.suffix:
        case ".py":
            yield from texts_of_python(source)
        case ".json":
            yield from texts_of_schema(json.loads(source))
        case ".md":
            for paragraph in re.finditer(r".+(?:\n.+)*", source):
                yield source.count("\n", 0, paragraph.start()) + 1, paragraph[0]
        case _:
            uncommented = re.sub(r"^( *)# ?", r"\1", source, flags=re.MULTILINE)
            for paragraph in re.finditer(r".+(?:\n.+)*", uncommented):
                yield uncommented.count("\n", 0, paragraph.start()) + 1, paragraph[0]


def banned_in(text: str) -> Iterator[tuple[str, str]]:
    """The banned words of a text, line breaks read as blanks, each with its plain words."""
    flat = " ".join(text.split())
    for pattern, plain in _BANNED.items():
        for found in pattern.finditer(flat):
            yield found[0], plain


def files() -> list[Path]:
    """Every checked file."""
    found = [ROOT / "app.py", ROOT / "Makefile", *(ROOT / page for page in PAGES), *(ROOT / "docs").rglob("*.md")]
    found += (ROOT / "schemas").glob("*.json")
    for folder in FOLDERS:
        found += (each for each in (ROOT / folder).rglob("*") if each.suffix in {".py", ".md", ".yaml", ".html", ".js"})
    return sorted(found)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_uses_plain_words(path: Path):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words!r}: write {plain}"
        for line, text in texts_of(path)
        for words, plain in banned_in(text)
    ]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "the sender whom the company does not know",
        "What befalls one request",
        "a stalled lock is let go\n    of by the sweep",
        "whatever becomes of the rest",
        "Check what came of it.",
        "an alarm that tells of a metric",
        "the provider is told of no callback",
    ],
)
def test_a_banned_word_is_found_in_any_case_and_across_lines(text: str):
    assert list(banned_in(text))


@pytest.mark.parametrize(
    "text",
    [
        "The sender is told that the conversation is locked.",
        "Tell the provider the address.",
        "Let the lock expire.",
        "What comes first is sent first.",
        "The status becomes `sent`.",
    ],
)
def test_plain_words_pass(text: str):
    assert not list(banned_in(text))


def test_comments_docstrings_errors_and_parts_of_f_strings_are_read():
    source = '"""Tells of it."""\n# one\n# whom\nx = f"befalls {1}"  # befell\nraise E("of " "one mind")\n'

    found = {words for _, text in texts_of_python(source) for words, _ in banned_in(text)}

    assert found == {"Tells of", "whom", "befalls", "befell", "of one mind"}
