"""Every command that a page shows is one that the project has, with options that it takes.

A command of the operators' program is also run by a test of tests/ops. A command that needs an account stands in a
section that says so.
"""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from ops.__main__ import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for pattern in ("*.md", "docs/*.md", "bench/*.md") for page in ROOT.glob(pattern))
PAGES.remove(ROOT / "CHANGELOG.md")  # it lists old names of commands

_MAKEFILE = (ROOT / "Makefile").read_text()
_TARGETS = set(re.findall(r"^([a-z-]+):", _MAKEFILE, re.MULTILINE))
_BLOCK = re.compile(r"^(?: {4}|\t)+(\S.*)$|^```(?:sh|console|bash)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:[A-Z_]+=\S+ )*(?:make|replies-engine|(?:\.venv/bin/)?python -m|aws|ngrok|chalice) [^`]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_PLACEHOLDER = {
    "--since <before the first>": "--since 6h",
    "SM0123...": "SM" + "0" * 32,
    "<conversation | message sid>": "c",
}
_OURS = ("make", "replies-engine", "python")
_ABROAD = ("aws", "ngrok", "chalice", "pip")
"""Programs of others: what they do is not ours to run."""


def _of(page: Path) -> list[list[str]]:
    """The commands of a page, in words; a comment after a command is left out."""
    text = page.read_text()
    blocks = [line for one, many in _BLOCK.findall(text) for line in (one or many).splitlines()]
    return [words for line in [*blocks, *_INLINE.findall(text)] if (words := _words(line)) and _is_command(words)]


def _words(line: str) -> list[str]:
    for placeholder, value in _PLACEHOLDER.items():
        line = line.replace(placeholder, value)
    try:
        words = shlex.split(line.replace("\\", ""), comments=True)
    except ValueError:
        return []  # prose with an apostrophe
    while words and _ASSIGNMENT.match(words[0]):
        del words[0]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else []


def _is_command(words: list[str]) -> bool:
    return words[0] in (*_OURS, *_ABROAD) and len(words) > 1 and words[1] != "..."


def _faults(words: list[str]) -> str | None:
    """What is wrong with a command of ours."""
    match words:
        case ["make", *rest]:
            return _fault_of_make(rest)
        case ["replies-engine", *rest]:
            return _fault_of_click(cli, rest)
        case ["python", "-m", module, *rest]:
            return _fault_of_module(module, rest)
    return None


def _fault_of_make(words: list[str]) -> str | None:
    variables = [one.partition("=")[0] for one in words if _ASSIGNMENT.match(one)]
    unread = [one for one in variables if f"$({one})" not in _MAKEFILE]
    unknown = [one for one in words if not _ASSIGNMENT.match(one) and one not in _TARGETS]
    return f"make has no {', '.join([*unknown, *unread])}" if unknown or unread else None


def _fault_of_click(command: click.Command, words: list[str]) -> str | None:
    """What the command line's own parser says of the words, without running anything."""
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.commands.get(words[0])
        return _fault_of_click(inner, words[1:]) if inner else f"no command {words[0]}"
    if words == [] or isinstance(command, click.Group):
        return None  # named, not typed
    try:
        command.make_context(command.name or "", list(words))
    except click.UsageError as error:
        return error.format_message()
    except click.exceptions.Exit:
        return None
    return None


def _fault_of_module(module: str, words: list[str]) -> str | None:
    found = find_spec(module)
    if found is None or found.origin is None:
        return f"no module {module}"
    folder = Path(found.origin).parent if found.submodule_search_locations else None
    source = "".join(file.read_text() for file in folder.glob("*.py")) if folder else Path(found.origin).read_text()
    unknown = [one for one in words if one.startswith("--") and one not in source]
    return f"{module} has no option {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one_that_we_have(page: Path):
    faults = {" ".join(words): fault for words in _of(page) if (fault := _faults(words))}

    assert faults == {}


@pytest.mark.parametrize(
    "line",
    [
        "make demon",
        "make run AWSPORT=1",
        "replies-engine doktor --stage dev",
        "replies-engine doctor --stages dev",
        "replies-engine unlock --stage dev --later",
        "python -m bench.nothing",
        "python -m bench.costs --nothing",
    ],
)
def test_a_command_that_we_do_not_have_is_found(line: str):
    """The test above would not pass for want of looking."""
    assert _faults(_words(line)) is not None


def test_every_operator_s_command_of_a_page_is_run_by_a_test():
    tests = "".join(file.read_text() for file in (ROOT / "tests/ops").rglob("*.py"))
    shown = {_path(words[1:]) for page in PAGES for words in _of(page) if words[0] == "replies-engine"}

    untested = [path for path in sorted(shown) if path and not _is_run(path, tests)]

    assert untested == []


def _path(words: list[str]) -> tuple[str, ...]:
    """The command without its arguments: ("tenant", "add")."""
    command: click.Command = cli
    path: list[str] = []
    for word in words:
        if not isinstance(command, click.Group) or word not in command.commands:
            break
        command = command.commands[word]
        path.append(word)
    return tuple(path) if not isinstance(command, click.Group) else ()


def _is_run(path: tuple[str, ...], tests: str) -> bool:
    """By the words of a call, or as the command that a finding names and a test then runs."""
    return ", ".join(f'"{word}"' for word in path) in tests or f"replies-engine {' '.join(path)} " in tests


def test_a_command_of_another_program_stands_where_the_page_says_what_it_needs():
    """A reader without an account of AWS, or of Twilio, sees it before typing."""
    unmarked = [
        f"{page.name}: {' '.join(words)}"
        for page in PAGES
        for section in re.split(r"^#{1,6} ", page.read_text(), flags=re.MULTILINE)
        for one, many in _BLOCK.findall(section)
        for line in (one or many).splitlines()
        if (words := _words(line)) and _is_command(words) and words[0] in ("aws", "ngrok", "chalice")
        if not re.search(r"\baccount\b", section)
    ]

    assert unmarked == []
