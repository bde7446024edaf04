"""Which attachments are kept."""

from __future__ import annotations

import pytest

from chalicelib.messages.attachment_rules import problem_of
from tests.world import settings_of

SETTINGS = settings_of(
    (("attachment_bytes_max", "1000"), ("attachment_types", "image/*, Text/Plain"), ("attachments_max", "2"))
)


@pytest.mark.parametrize(
    ("number", "size_bytes", "content_type", "problem"),
    [
        (2, 1_000, "image/png", None),
        (1, 0, "text/plain", None),
        (1, 1, "TEXT/Plain; charset=utf-8", None),
        (1, 1, " image/webp ", None),
        (3, 1, "image/png", "too_many"),
        (1, 1_001, "image/png", "too_large"),
        (1, 1, "application/x-msdownload", "type_not_allowed"),
        (1, 1, "text/plainer", "type_not_allowed"),
        (1, 1, "x-image/png", "type_not_allowed"),
        (1, 1, "", "type_not_allowed"),
        (1, 1, "application/zip; name=image/png", "type_not_allowed"),
        (3, 9_999, "application/zip", "too_many"),
        (1, 9_999, "application/zip", "too_large"),
    ],
)
def test_an_attachment_is_kept_within_number_size_and_type(number, size_bytes, content_type, problem):
    """The first limit that it breaks is told; parameters and capitals of the type do not matter."""
    assert problem_of(number, size_bytes, content_type, SETTINGS) == problem


def test_no_attachment_is_kept_where_none_may_be():
    """A maximum of zero turns it off."""
    settings = settings_of((("attachments_max", "0"),))

    assert problem_of(1, 1, "image/png", settings) == "too_many"


@pytest.mark.parametrize("content_type", ["image/svg+xml", "IMAGE/SVG+XML; charset=utf-8", "text/html", "text/xml"])
def test_what_a_browser_runs_is_kept_by_its_whole_name_alone(content_type: str):
    """An SVG is an image by its name, and a page that can hold programs."""
    by_pattern = settings_of((("attachment_types", "*, image/*, image/svg*, text/*ml"),))
    by_name = settings_of((("attachment_types", "Image/SVG+xml, text/html, text/xml"),))

    told = [problem_of(1, 1, content_type, settings) for settings in (by_pattern, by_name)]

    assert told == ["type_not_allowed", None]


@pytest.mark.parametrize(
    ("content_type", "is_kept"),
    [
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", True),
        ("audio/ogg; codecs=opus", True),
        ("application/zip", True),
        ("message/rfc822", True),
        ("application/vnd.ms-excel", True),
        ("application/x-msdownload", False),
        ("application/java-archive", False),
        ("text/html", False),
        ("image/svg+xml", False),
        ("application/octet-stream", False),
    ],
)
def test_what_people_send_is_kept_by_default_and_what_runs_is_not(content_type, is_kept):
    """Archives and pages may hold programs."""
    settings = settings_of(())

    assert (problem_of(1, 1, content_type, settings) is None) is is_kept
