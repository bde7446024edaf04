"""What an attachment is that its sender only calls a file."""

from __future__ import annotations

import pytest

from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.file_types import GENERIC_TYPES, type_of
from chalicelib.channels.email.notes import Notes
from tests.world import settings_of

ZIP, OLE = b"PK\x03\x04" + b"\0" * 60, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b"%PDF-1.7\n", "a.pdf", "application/pdf"),
        (b"%PDF-1.7\n", "", "application/pdf"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\0" * 100, "photo", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a.exe", "image/png"),
        (ZIP, "a.xlsx", SPREADSHEET),
        (ZIP, "a.zip", "application/zip"),
        (ZIP, "a", "application/zip"),
        (ZIP, "a.jar", "application/java-archive"),
        (OLE, "a.xls", "application/vnd.ms-excel"),
        (OLE, "mail.msg", "application/vnd.ms-outlook"),
        (b"a,b\n1,2", "a.csv", "text/csv"),
        (b"BEGIN:VCALENDAR\r\n", "a.ics", "text/calendar"),
        (b"From: a@b\r\n\r\nhello", "a.eml", "message/rfc822"),
        (b"words", "a.txt", "text/plain"),
        (b"0\x82\x01\x02", "smime.p7m", "application/pkcs7-mime"),
        (b"words", "a", "application/octet-stream"),
        (b"\x00\x01\x02", "a.txt", "application/octet-stream"),
        (b"\x00\x01\x02", "a.pdf", "application/octet-stream"),
        (b"", "a.pdf", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("claimed", sorted(GENERIC_TYPES))
def test_a_file_is_judged_by_its_first_bytes_and_its_name(content: bytes, name: str, found: str, claimed: str):
    """A name alone makes no document."""
    assert type_of(content, claimed, name) == found


@pytest.mark.parametrize("name", ["invoice.pdf", "photo.jpg", "a.txt", "a.docx"])
def test_a_program_stays_one_under_any_name(name: str):
    """It is not kept by default."""
    attachments = Attachments(settings_of(()), Notes())

    attachments.add(b"MZ\x90\x00" + b"\0" * 200, "application/octet-stream", name)

    (told,) = attachments.attachments
    assert (told.filename, told.size_bytes, told.problem) == (name, 204, "type_not_allowed")


@pytest.mark.parametrize("content", [b"<html><script>x</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_a_browser_runs_stays_that(content: bytes):
    """Until a company names it."""
    by_default = Attachments(settings_of(()), Notes())
    named = Attachments(settings_of((("attachment_types", "text/html,image/svg+xml"),)), Notes())

    for one in (by_default, named):
        one.add(content, "application/octet-stream", "picture.png")

    assert [one.attachments[0].problem for one in (by_default, named)] == ["type_not_allowed", None]


def test_a_claimed_type_is_left_as_it_is():
    """It is the sender's word, and told as that."""
    assert type_of(b"%PDF-1.7\n", "image/png", "a.pdf") == "image/png"


@pytest.mark.parametrize(
    "kind",
    [
        "application/zip",
        "message/rfc822",
        "application/pkcs7-mime",
        "text/calendar",
        SPREADSHEET,
        "application/vnd.ms-excel",
    ],
)
def test_what_offices_send_is_kept_by_default(kind: str):
    """And never opened."""
    attachments = Attachments(settings_of(()), Notes())

    attachments.add(ZIP, kind, "a")

    assert (attachments.attachments[0].content, attachments.attachments[0].problem) == (ZIP, None)
