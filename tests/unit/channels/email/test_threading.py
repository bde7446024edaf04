"""What an e-mail bears that answers another, whatever the other one said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.channels.email.threading import REFERENCES_LENGTH_MAX, SUBJECT_BYTES_MAX, Heading
from chalicelib.channels.sender import OutboundPart

SEND_ID = "5" * 40


def heading(sender: str = "help@acme.example", **answers: str) -> Heading:
    part = OutboundPart(
        send_id=SEND_ID,
        to="ann@example.net",
        sender=sender,
        messaging_service_sid=None,
        body="Yes.",
        content_sid=None,
        content_variables={},
        media_urls=(),
        status_callback=None,
        answers=answers,
    )
    return Heading.of(part)


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ("Which room?", "Re: Which room?"),
        ("Re: Which room?", "Re: Which room?"),
        ("RE: AW: re[2]: Which room?", "Re: Which room?"),
        ("Reservation: which room?", "Re: Reservation: which room?"),
        ("", "Re:"),
        ("Re:", "Re:"),
        ("a\r\nBcc: eve@b.example", "Re: a Bcc: eve@b.example"),
        ("a\x00b\u2028c\udfffd\t e", "Re: a b c d e"),
        ("Grüße 漢字 🎉", "Re: Grüße 漢字 🎉"),
    ],
)
def test_the_subject_is_the_answered_one_s_after_one_re(answered, expected):
    """However often it was answered before, and with nothing in it that could end its line."""
    subject = heading(subject=answered).subject

    assert subject == expected


def test_a_subject_is_bounded():
    """Its beginning is kept."""
    subject = heading(subject="x" * 10_000).subject

    assert subject == f"Re: {'x' * (SUBJECT_BYTES_MAX - 4)}"


@pytest.mark.parametrize(
    ("answers", "references", "in_reply_to"),
    [
        ({"email_message_id": "<b@x>", "references": "<0@x>\r\n <a@x>"}, "<0@x> <a@x> <b@x>", "<b@x>"),
        ({"email_message_id": "<b@x>", "in_reply_to": "<a@x>"}, "<a@x> <b@x>", "<b@x>"),
        ({"email_message_id": "<b@x>"}, "<b@x>", "<b@x>"),
        ({"email_message_id": "<b@x>", "references": "<b@x> <a@x>"}, "<a@x> <b@x>", "<b@x>"),
        ({"email_message_id": "no id", "references": "<a@x>"}, "<a@x>", None),
        ({"email_message_id": "<b@x>\r\nBcc: eve@b.example"}, None, None),
        ({}, None, None),
    ],
    ids=["both", "no references", "the first", "itself among them", "no id", "an injection", "nothing"],
)
def test_it_refers_to_what_is_answered_and_to_what_that_refers_to(answers, references, in_reply_to):
    """The oldest first and the answered one last; what is no id is left out."""
    found = heading(**answers)

    assert (found.references, found.in_reply_to) == (references, in_reply_to)
    assert "References" in found.headers or references is None


def test_of_too_many_references_the_first_and_the_newest_stay():
    """The first names the thread, the newest the place in it."""
    ids = [f"<{number:04}@example.net>" for number in range(1_000)]

    references = heading(email_message_id="<last@example.net>", references=" ".join(ids)).references

    kept = references.split()
    assert kept[0] == ids[0]
    assert kept[1:] == [*ids, "<last@example.net>"][-len(kept) + 1 :]
    assert REFERENCES_LENGTH_MAX - 20 < len(references) <= REFERENCES_LENGTH_MAX


def test_the_message_id_is_the_send_id_s_at_the_company_s_domain():
    """The same for the same part, however often it is built."""
    headers = heading().headers

    assert headers["Message-ID"] == f"<{SEND_ID}@acme.example>"


def test_a_domain_that_is_no_ascii_is_in_no_message_id():
    """The provider makes one of its own then."""
    found = heading(sender="hilfe@bücher.example")

    assert "Message-ID" not in found.headers
    assert "email_message_id" not in found.extras


@given(st.dictionaries(st.sampled_from(["subject", "email_message_id", "references", "in_reply_to"]), st.text()))
def test_nothing_of_an_e_mail_begins_a_header_of_its_own(answers):
    """Whatever it said: one line each, bounded, the headers in printable ASCII."""
    found = heading(**answers)

    for value in found.headers.values():
        assert value.isascii()
        assert value.isprintable()
        assert len(value) <= REFERENCES_LENGTH_MAX
    assert len(found.subject.splitlines()) == 1
    assert len(found.subject.encode()) <= SUBJECT_BYTES_MAX
