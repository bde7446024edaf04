"""A form is read whole where that is cheap; what is left for later is read once the request is verified."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartSegment, PushMultipartParser

from chalicelib.channels.sendgrid import form
from chalicelib.channels.sendgrid.delimiters import BLOCK_BYTES
from chalicelib.channels.sendgrid.form import Form, read_form
from chalicelib.errors import Rejected
from tests.emails import BOUNDARY, Email, first

DELIMITER = f"\r\n--{BOUNDARY}".encode()
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def posted(*parts: bytes) -> bytes:
    """A form of parts with their headers."""
    return b"".join(b"--xYzZY" + part + b"\r\n" for part in parts) + b"--xYzZY--\r\n"


def part(name: str, value: bytes = b"", more: str = "") -> bytes:
    return f'\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


def photo(size: int) -> bytes:
    return random.Random(1).randbytes(size)  # noqa: S311 - no secret


def dense(size: int) -> bytes:
    """Bytes among which a delimiter is hard to find."""
    return photo(size).translate(bytes(DELIMITER[one % len(DELIMITER)] for one in range(256)))


def told(read: Form) -> object:
    files = [(one.field, one.filename, one.content_type, one.content) for one in read.files]
    return dict(read.fields), files


@pytest.mark.parametrize("filler", [b"", b"\r" * 20], ids=["few line ends", "many"])
def test_a_form_of_more_parts_than_are_read_is_refused(filler: bytes):
    """Whichever way it is searched."""
    with pytest.raises(Rejected, match="more than 1000 parts"):
        read_form(CONTENT_TYPE, b"--xYzZY" + filler + DELIMITER * 1_001 + b"--", sample_start=first)


@pytest.mark.parametrize("end", [b"", b"\r\n--xYzZ", b"\r\n--xYzZY", b"\r\n--xYzZY-", b"\r\n--xYzZY--\r\nx"])
def test_a_form_without_a_terminator_is_refused(end: bytes):
    """Its end would be missing."""
    with pytest.raises(Rejected, match="terminator"):
        read_form(CONTENT_TYPE, b"--xYzZY" + part("text", b"hello") + end, sample_start=first)


HEADS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["Content-Disposition", "content-disposition", "Content-disposition"]),
    st.sampled_from([': form-data; name="', ':form-data; name="', ": form-data; name="]),
    st.text(st.sampled_from('aZ09_-. %\\";:/é\x7f'), max_size=6),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(['"', "", '"; x="y"']),
        st.sampled_from(
            [
                "",
                '; filename="a.pdf"',
                '; filename=""',
                '; filename="a\\"b"',
                '; filename="a%22b"',
                '; filename="C:\\x"',
            ]
        ),
        st.sampled_from(
            ["", "\r\nContent-Type: image/PNG", "\r\nContent-Type: a/b; c=d", "\r\nContent-Type: ", "\r\nX-A: b"]
        ),
        st.sampled_from(["", "\r\nContent-Type: text/plain", "\r\n folded"]),
    ),
)


@given(head=HEADS)
def test_usual_headers_say_the_same_without_the_parser(head: str):
    """They are read by a pattern, for that takes a tenth of the time."""
    body = posted(b"\r\n" + head.encode("latin-1") + b"\r\n\r\nhello")
    usual = form._USUAL_HEAD.match(body, len(DELIMITER) - 2)
    if usual is None:
        return

    (read,) = [
        one
        for one in PushMultipartParser(BOUNDARY, header_charset="latin-1").parse(body)
        if isinstance(one, MultipartSegment)
    ]

    filename = None if read.filename is None else read.filename.encode("latin-1")
    assert (read.name, filename, read.content_type or "") == (
        usual[1].decode(),
        usual[2],
        (usual[3] or b"").decode().lower(),
    )


class TestLeftForLater:
    """A form whose bytes or headers are unusual is not read whole before its request is verified."""

    def test_an_ordinary_form_is_whole_at_once(self):
        """It is read once."""
        email = Email(attachments=(("a.pdf", "application/pdf", photo(1 << 20)),))

        read = read_form(email.content_type, email.body, sample_start=first)

        assert read.whole() is read

    def test_the_whole_form_has_what_was_left_for_later(self):
        """Parts behind, between and in blocks that were not searched."""
        head, tail = part("first", b"1"), part("last", b"2")
        file = part("file", dense(8 * BLOCK_BYTES), '; filename="x"')
        body = posted(head, file, part("between", b"3"), part("other", dense(4 * BLOCK_BYTES)), tail)

        before = read_form(CONTENT_TYPE, body, sample_start=first)
        whole = before.whole()

        assert before.fields["first"] == b"1"
        assert before.fields["last"] == b"2"
        assert dict(whole.fields).keys() == {"first", "between", "other", "last"}
        assert whole.fields["between"] == b"3"
        assert whole.files[0].content == dense(8 * BLOCK_BYTES)
        assert whole.whole() is whole

    def test_a_part_that_runs_into_an_unsearched_block_is_cut_there(self):
        """Its beginning is certain: that is all that finding the sender needs."""
        text = b"From: ann@customer.example\r\n\r\n" + dense(10 * BLOCK_BYTES)

        before = read_form(CONTENT_TYPE, posted(part("email", text)), sample_start=first)

        cut = before.fields["email"]
        assert 0 < len(cut) < len(text)
        assert text.startswith(cut)
        assert before.whole().fields["email"] == text

    @pytest.mark.parametrize(
        "hidden",
        [
            part("first", b"another"),
            part("x") + b"\r\n--xYzZY--\r\n--xYzZY" + part("y"),
            b" no headers",
        ],
        ids=["a field twice", "an end", "no part"],
    )
    def test_what_breaks_a_rule_in_what_was_left_is_refused_later(self, hidden: bytes):
        """The signature proves who posted it, not that it has one reading."""
        body = posted(part("first", b"1"), part("a", dense(8 * BLOCK_BYTES)), hidden, part("b", dense(4 * BLOCK_BYTES)))

        before = read_form(CONTENT_TYPE, body, sample_start=first)

        assert before.fields["first"] == b"1"
        with pytest.raises(Rejected):
            before.whole()

    def test_of_a_thousand_parts_with_unusual_headers_few_are_parsed_at_first(self):
        """The parser takes ten times as long as the pattern."""
        unusual = [part(f"file{n}", b"x", f'; filename="a%22{n}"') for n in range(900)]
        body = posted(part("first", b"1"), *unusual, part("last", b"2"))

        before = read_form(CONTENT_TYPE, body, sample_start=first)

        assert len(before.files) == form._UNUSUAL_HEADS_MAX
        assert before.fields["last"] == b"2"
        assert [one.filename for one in before.whole().files] == [f'a"{n}'.encode() for n in range(900)]


@given(
    pieces=st.lists(
        st.sampled_from(
            [
                part("a", b"1"),
                part("b", b"2", '; filename="x"'),
                part("c", b"3", "; x=y"),
                part("d", dense(3_000)),
                part("e", dense(500)),
                part("f", b"words" * 100),
            ]
        ),
        min_size=1,
        max_size=8,
        unique=True,
    )
)
def test_what_is_read_before_is_read_the_same_in_the_whole(pieces: list[bytes]):
    """Whatever was left out, cut off, or in whichever order: nothing changes but that there is more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.channels.sendgrid.delimiters.BLOCK_BYTES", 256)
        patch.setattr("chalicelib.channels.sendgrid.delimiters._LOOKS_MIN", 0)
        patch.setattr(form, "_UNUSUAL_HEADS_MAX", 0)
        before = read_form(CONTENT_TYPE, posted(*pieces), sample_start=first)
        whole = before.whole()

    expected_parts = [
        re.fullmatch(rb'\r\nContent-Disposition: form-data; name="(.)"(.*?)\r\n\r\n(.*)', one, re.DOTALL)
        for one in pieces
    ]
    assert dict(whole.fields) == {
        one[1].decode(): one[3] for one in expected_parts if one and b"filename" not in one[2]
    }
    assert all(whole.fields[name].startswith(content) for name, content in before.fields.items())
    assert [one.field for one in before.files] == [one.field for one in whole.files][: len(before.files)]
