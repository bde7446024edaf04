"""Links between pages lead somewhere, and what pages repeat of the code is what the code says."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from chalicelib.channels.registry import channels
from chalicelib.settings import Settings
from chalicelib.settings.parsing import Within
from ops.commands import conversation
from tests.world import settings_of

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for pattern in ("*.md", "docs/*.md", "bench/**/*.md", "tests/**/*.md") for page in ROOT.glob(pattern)
)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def _links(page: Path) -> list[str]:
    """The relative links of a page, pictures included."""
    found = _LINK.findall(_CODE.sub("", _prose(page)))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings as GitHub makes them; a heading that is repeated gets a number."""
    anchors: set[str] = set()
    for heading in _HEADING.findall(_prose(page)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        first = anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while anchor in anchors:
            number += 1
            anchor = f"{first}-{number}"
        anchors.add(anchor)
    return anchors


def _is_alive(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or (target.suffix == ".md" and anchor in _anchors(target)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path):
    assert [link for link in _links(page) if not _is_alive(page, link)] == []


def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path: Path):
    """The test above would not pass for want of looking."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n## It's `here`\n\n## Twice\n\n## Twice\n\n"
        "[a](gone.md) [b](#gone) [c](page.md#gone) [d](#its-here) [e](page.md#twice-1) `[f](code.md)` [g](https://h.example)\n"
    )

    assert [link for link in _links(page) if not _is_alive(page, link)] == ["gone.md", "#gone", "page.md#gone"]


def test_the_readme_s_row_is_the_one_that_conversation_add_writes():
    (told,) = re.findall(r"^```json\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    row = json.loads(told)
    (whatsapp,) = (one for one in channels(settings_of(())) if one.name == "whatsapp")
    pair = (row["gsi_company_whatsapp_number"], row["gsi_recipient_tel"])
    ref = row["channel_config"]["whatsapp"]["credential_ref"]

    written = conversation._row(whatsapp, "acme", pair, row["conversation_id"], ref)

    assert row == {**written, "created_at": row["created_at"]}


def test_the_page_of_limits_has_the_range_of_each_setting():
    page = (ROOT / "docs" / "limits.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    ranged = [(one, one.metadata["parse"]) for one in fields(Settings) if isinstance(one.metadata["parse"], Within)]

    rows = re.findall(r"^\| (`[A-Z_]+`) \| (.+) \| (.+) \| (.+) \|$", page, re.MULTILINE)

    values = [(one.name.upper(), within.low, one.metadata["default"], within.high) for one, within in ranged]
    assert rows == [(f"`{name}`", *(f"{float(number):,.15g}" for number in numbers)) for name, *numbers in values]


def test_the_diagrams_of_the_states_have_every_transition_of_the_protocol_by_its_letter_and_verb():
    protocol, concepts = ((ROOT / "docs" / page).read_text() for page in ("protocol.md", "concepts.md"))
    drawn = "".join(re.findall(r"^```mermaid\nstateDiagram-v2\n(.*?)^```$", concepts, re.MULTILINE | re.DOTALL))

    transitions = {
        (letter, verb) for letter, verb in re.findall(r"^\| ([a-zA-Z]) \| ([a-z, ]+?) \|", protocol, re.MULTILINE)
    }
    shown = re.findall(r"\b([a-zA-Z]): ([a-z ]+)", drawn)

    assert {letter for letter, _ in shown} == {letter for letter, _ in transitions}
    assert [
        one
        for one in shown
        if not any(one[0] == letter and one[1].startswith(verb.partition(",")[0]) for letter, verb in transitions)
    ] == []
