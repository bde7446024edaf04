"""What runs when somebody opens it is kept only by its whole name, and no company's name leads out of its folder."""

from __future__ import annotations

import pytest

from chalicelib.messages.attachment_rules import TYPE_NOT_ALLOWED, problem_of
from chalicelib.messages.attachments import folder_of
from tests.world import settings_of

ACTIVE = [
    "image/svg+xml",
    "image/svg+xml-compressed",
    "image/svg",
    "IMAGE/SVG+XML; charset=utf-8",
    "text/html",
    "application/xhtml+xml",
    "application/vnd.ms-word.document.macroEnabled.12",
    "application/vnd.ms-excel.sheet.macroEnabled.12",
    "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
    "application/javascript",
    "application/x-msdownload",
]


@pytest.mark.parametrize("content_type", ACTIVE)
@pytest.mark.parametrize("patterns", ["*/*", "image/*,application/*,text/*", "application/vnd.ms-*"])
def test_no_pattern_admits_what_runs(content_type: str, patterns: str):
    """Only its own name does."""
    settings = settings_of((("attachment_types", patterns),))

    assert problem_of(1, 1, content_type, settings) == TYPE_NOT_ALLOWED


def test_its_own_name_admits_it():
    """A company may want it."""
    settings = settings_of((("attachment_types", "image/svg+xml"),))

    assert problem_of(1, 1, "image/svg+xml", settings) is None


@pytest.mark.parametrize("tenant", ["..", ".", "...", "", "a/b", "../other", "a\\b", "%2e%2e"])
def test_a_company_s_name_is_one_safe_segment(tenant: str):
    """Wherever a key becomes a path."""
    segment, slash, rest = folder_of(tenant, "id").partition("/")

    assert (slash, rest) == ("/", "id")
    assert segment.strip(".")
    assert not set(segment) & set("\\/")
