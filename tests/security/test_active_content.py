"""What runs when somebody opens it is kept only by its whole name, and no company's name leads out of its folder."""

from __future__ import annotations

import pytest

from chalicelib.messages.attachment_rules import TYPE_NOT_ALLOWED, problem_of
from chalicelib.messages.attachments import folder_of
from tests.emails import Email
from tests.world import World, email_conversation, settings_of

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
    "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
    "application/vnd.ms-word.template.macroEnabledTemplate.12",
    "application/vnd.ms-powerpoint.addin.macroEnabled.12",
    "application/javascript",
    "text/ecmascript",
    "application/x-sh",
    "application/x-mimearchive",
    "application/hta+xml",
    "application/x-httpd-php",
    "application/vnd.microsoft.portable-executable",
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


@pytest.mark.parametrize(
    "filename",
    [
        "invoice.docm",
        "Invoice.XLSM",
        "sheet.xlsb",
        "slides.pptm",
        "template.dotm",
        "addin.xlam",
        "show.ppsm",
        "logo.svg",
        "logo.svgz",
        "page.html",
        "page.htm",
        "page.mht",
        "run.exe",
        "run.js",
        "run.hta",
        "link.lnk",
        "invoice.pdf.exe",
        "invoice.docm.",
        "invoice.docm . ",
        "invoice.docm:stream.pdf",
        "invoice. docm",
        "page.html\u200b",
        "page.ht\u00adml",
        "invoice.docm\u202e",
        "page\uff0ehtml",
        "page\u3002html",
        "page.\uff28\uff34\uff2d\uff2c",
        "page.html/",
        "page.html\\",
        "page.html\x00.png",
        "offer.url",
        "disk.iso",
        "Disk.VHDX",
        "run.py",
        "settings.settingcontent-ms",
        "query.iqy",
    ],
)
@pytest.mark.parametrize("content_type", ["application/pdf", "text/plain", "image/png", "application/zip"])
def test_the_name_of_what_runs_is_refused_whatever_type_it_is_told_as(filename: str, content_type: str):
    """A person's machine opens it by its name."""
    assert problem_of(1, 1, content_type, settings_of(()), filename=filename) == TYPE_NOT_ALLOWED


@pytest.mark.parametrize("filename", ["invoice.pdf", "docm", "macros.docm.txt", "a.docx", "notes", "v1.0", None, "..."])
def test_other_names_are_kept(filename: str | None):
    """By their type alone."""
    assert problem_of(1, 1, "application/pdf", settings_of(()), filename=filename) is None


def test_a_name_is_admitted_by_the_whole_name_of_its_type():
    """A company may want documents with macros."""
    types = "application/vnd.ms-word.document.macroEnabled.12,application/zip"
    settings = settings_of((("attachment_types", types),))

    assert problem_of(1, 1, "application/zip", settings, filename="a.docm") is None
    assert problem_of(1, 1, "application/zip", settings, filename="a.xlsm") == TYPE_NOT_ALLOWED


@pytest.mark.parametrize("is_raw", [False, True])
def test_a_document_with_macros_in_an_e_mail_is_told_and_not_kept(is_raw: bool):
    """In both of SendGrid's modes."""
    world = World(None, email_conversation())
    document = ("invoice.docm", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK")

    world.post_email(Email(attachments=(document,), is_raw=is_raw))

    (row,) = world.tables.stage.rows
    (medium,) = row["context_object"]["messages"][0]["media"]
    assert (medium["url"], medium["problem"], medium["filename"]) == ("", TYPE_NOT_ALLOWED, "invoice.docm")
    assert world.bucket.objects == {}


@pytest.mark.parametrize("tenant", ["..", ".", "...", "", "a/b", "../other", "a\\b", "%2e%2e"])
def test_a_company_s_name_is_one_safe_segment(tenant: str):
    """Wherever a key becomes a path."""
    segment, slash, rest = folder_of(tenant, "id").partition("/")

    assert (slash, rest) == ("/", "id")
    assert segment.strip(".")
    assert not set(segment) & set("\\/")
