"""Text within containers: forwarded e-mails, opaque signatures, Outlook's winmail.dat, and what is bent on its way."""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.mime import head_and_body, read_mime
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.relations import Relation
from chalicelib.channels.email.smime import Sealed, signed_content
from chalicelib.channels.email.texts import Text, text_of
from chalicelib.channels.email.tnef import decompressed, read_tnef, rtf_text
from tests.world import settings_of

WORDS = "Please cancel my order."
FOREVER_SECONDS = 60


@pytest.fixture
def notes() -> Notes:
    return Notes()


def read(raw: bytes, notes: Notes, *, relation: Relation = Relation.REPLY) -> tuple[Text, Attachments]:
    attachments = Attachments(settings_of(()), notes)
    shown = read_mime(*head_and_body(raw, notes), attachments, notes)
    return text_of(shown, notes, bytes_max=8_192, relation=relation), attachments


def told(attachments: Attachments) -> list[tuple[str | None, str, str | None]]:
    return [(one.filename, one.content_type, one.problem) for one in attachments.attachments]


def mixed(*parts: bytes) -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"".join(b"--b\n" + one + b"\n" for one in parts) + b"--b--"
    )


def encoded(head: bytes, content: bytes) -> bytes:
    return head + b"\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(content)


class TestForwarded:
    INNER = (
        b"From: Shop <shop@other.example>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\n"
        b"Subject: =?utf-8?q?Rechnung_M=C3=A4rz?=\n"
        b"Content-Type: multipart/mixed; boundary=c\n\n--c\n\nYour invoice is due.\n\nOn Mon, Jan 5, 2026 at 9:00 AM "
        b"A <a@b.example> wrote:\n> old\n--c\nContent-Type: application/pdf; name=a.pdf\n\n%PDF\n--c--"
    )

    def test_the_text_of_an_attached_e_mail_is_new(self, notes: Notes):
        """All of it, below what it says of itself; its own files are within it."""
        text, attachments = read(mixed(b"\n" + WORDS.encode(), b"Content-Type: message/rfc822\n\n" + self.INNER), notes)

        assert text.body.startswith(
            f"{WORDS}\n\nFrom: Shop <shop@other.example>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\n"
            "Subject: Rechnung März\n\n"
        )
        assert text.body.endswith(
            "Your invoice is due.\n\nOn Mon, Jan 5, 2026 at 9:00 AM A <a@b.example> wrote:\n> old"
        )
        assert told(attachments) == [(None, "message/rfc822", None)]

    def test_a_forward_without_a_word_has_one(self, notes: Notes):
        """The attached e-mail's."""
        text, _ = read(mixed(b"Content-Type: message/rfc822\n\n" + self.INNER), notes, relation=Relation.FORWARD)

        assert "Your invoice is due." in text.body

    def test_an_e_mail_that_is_only_named_as_one_is_read_too(self, notes: Notes):
        """Some programs attach it as a mere file."""
        head = b'Content-Type: application/octet-stream; name="Your invoice.eml"\n\n'

        text, attachments = read(mixed(b"\n" + WORDS.encode(), head + self.INNER), notes)

        assert text.body.startswith(f"{WORDS}\n\nFrom: Shop")
        assert told(attachments) == [("Your invoice.eml", "message/rfc822", None)]

    @pytest.mark.parametrize("inner", [b"", b"no e-mail at all", b"\n\n", b"\x00" * 100])
    def test_what_is_no_e_mail_is_a_file(self, notes: Notes, inner: bytes):
        """And says nothing."""
        text, attachments = read(mixed(b"\n" + WORDS.encode(), b"Content-Type: message/rfc822\n\n" + inner), notes)

        assert text.body == WORDS
        assert attachments.count == bool(inner)

    def test_e_mails_within_e_mails_are_read_within_bounds(self, notes: Notes):
        """However many there are."""
        began = time.process_time()

        read(b"Subject: x\nContent-Type: message/rfc822\n\n" * 80_000, notes)

        assert time.process_time() - began < FOREVER_SECONDS


class TestSigned:
    INNER = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + WORDS.encode() + b"\r\n"

    @staticmethod
    def sealed(content: bytes) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ann")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
            .sign(key, hashes.SHA256())
        )
        builder = PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
        return builder.sign(Encoding.DER, [PKCS7Options.Binary])

    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m",
            b"Content-Type: application/x-pkcs7-mime; name=smime.p7m",
            b"Content-Type: application/octet-stream; name=smime.p7m",
        ],
    )
    def test_what_is_signed_opaquely_is_read(self, notes: Notes, head: bytes):
        """The customer wrote no other text."""
        text, attachments = read(encoded(head, self.sealed(self.INNER)), notes)

        assert (text.body, told(attachments), str(notes)) == (WORDS, [], "")

    def test_lengths_may_be_left_open(self):
        """As programs write that do not know them yet; and the content in pieces."""
        octets = b"\x24\x80" + b"".join(b"\x04\x04" + self.INNER[at : at + 4] for at in range(0, 8, 4)) + b"\0\0"
        inner = b"\x30\x80\x06\x09" + bytes.fromhex("2a864886f70d010701") + b"\xa0\x80" + octets + b"\0\0\0\0"
        data = b"\x30\x80\x02\x01\x01\x31\x00" + inner + b"\0\0"
        whole = b"\x30\x80\x06\x09" + bytes.fromhex("2a864886f70d010702") + b"\xa0\x80" + data + b"\0\0\0\0"

        assert signed_content(whole) == self.INNER[:8]

    def test_what_is_encrypted_is_named(self, notes: Notes):
        """And kept as the file that it is."""
        data = b"\x30\x0f\x06\x09" + bytes.fromhex("2a864886f70d010703") + b"\xa0\x02\x30\x00"

        text, attachments = read(encoded(b"Content-Type: application/pkcs7-mime; name=smime.p7m", data), notes)

        assert (text.body, str(notes)) == ("", "encrypted")
        assert told(attachments) == [("smime.p7m", "application/pkcs7-mime", None)]

    @pytest.mark.parametrize(
        "raw",
        [
            b"Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nx",
            b"\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n",
        ],
    )
    def test_pgp_is_named_too(self, notes: Notes, raw: bytes):
        """In either of its forms."""
        read(raw, notes)

        assert "encrypted" in str(notes)

    @pytest.mark.parametrize(
        "data", [b"", b"0", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 1_000_000, b"0" * 1_000_000]
    )
    def test_what_is_no_such_structure_is_unreadable(self, data: bytes):
        """In no time."""
        began = time.process_time()

        assert signed_content(data) is Sealed.UNREADABLE
        assert time.process_time() - began < FOREVER_SECONDS

    def test_a_truncated_signature_raises_nothing(self):
        """Wherever it ends."""
        whole = self.sealed(self.INNER)

        assert {type(signed_content(whole[:length])) for length in range(len(whole))} <= {Sealed, bytes}


def attribute(identity: int, value: bytes) -> bytes:
    return struct.pack("<BII", 1, identity, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def tnef(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\x01\x00" + b"".join(attributes)


def properties(*told: tuple[int, int, bytes]) -> bytes:
    """Of MAPI, each of a size of its own."""
    content = struct.pack("<I", len(told))
    for kind, identity, value in told:
        content += struct.pack("<HH", kind, identity)
        content += value if kind == 0x03 else struct.pack("<II", 1, len(value)) + value + b"\0" * (-len(value) % 4)
    return attribute(0x00069003, content)


RTF = (
    b"{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}{\\*\\generator x;}"
    b"\\f0 Please cancel\\par my M\\'e4rz order \\u8364? {\\b now}.}"
)


class TestTnef:
    FILE = attribute(0x00069002, b"\0" * 14) + attribute(0x0006800F, b"%PDF-1.7\n") + attribute(0x00018010, b"a.pdf\0")

    @pytest.mark.parametrize(
        ("attributes", "words"),
        [
            ((attribute(0x0002800C, WORDS.encode() + b"\0"),), WORDS),
            ((properties((0x1F, 0x1000, WORDS.encode("utf-16-le") + b"\0\0")),), WORDS),
            ((properties((0x03, 0x0E07, b"\1\0\0\0"), (0x1E, 0x1000, WORDS.encode() + b"\0")),), WORDS),
            ((properties((0x102, 0x1013, f"<p>{WORDS}</p>".encode())),), WORDS),
            (
                (attribute(0x00069007, struct.pack("<II", 1251, 0)), attribute(0x0002800C, "Привет".encode("cp1251"))),
                "Привет",
            ),
            (
                (properties((0x102, 0x1009, struct.pack("<IIII", 0, len(RTF), 0x414C454D, 0) + RTF)),),
                "Please cancel\nmy März order € now.",
            ),
        ],
    )
    def test_its_text_is_read_where_there_is_no_other(self, notes: Notes, attributes: Sequence[bytes], words: str):
        """In whichever way Outlook wrote it."""
        part = encoded(b"Content-Type: application/ms-tnef; name=winmail.dat", tnef(*attributes))

        assert read(mixed(part), notes)[0].body == words

    def test_beside_another_text_it_says_the_same(self, notes: Notes):
        """Its files are the e-mail's."""
        data = tnef(attribute(0x0002800C, b"the same again"), self.FILE)
        part = encoded(b"Content-Type: application/octet-stream; name=winmail.dat", data)

        text, attachments = read(mixed(b"\n" + WORDS.encode(), part), notes)

        assert (text.body, told(attachments)) == (WORDS, [("a.pdf", "application/pdf", None)])

    def test_without_anything_that_can_be_read_it_is_a_file(self, notes: Notes):
        """Nothing is lost."""
        _, attachments = read(mixed(encoded(b"Content-Type: application/ms-tnef; name=winmail.dat", tnef())), notes)

        assert told(attachments) == [("winmail.dat", "application/ms-tnef", "type_not_allowed")]

    def test_compressed_rich_text_is_unpacked(self):
        """The example of its specification."""
        packed = bytes.fromhex(
            "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
        )

        assert decompressed(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"

    @pytest.mark.parametrize(
        "data",
        [
            tnef(*[attribute(0x00069003, struct.pack("<I", 0xFFFFFFFF) + b"\xff" * 100)] * 1_000),
            tnef(
                attribute(0x00069003, struct.pack("<I", 10_000) + struct.pack("<HHI", 0x101F, 1, 0xFFFFFFFF) * 10_000)
            ),
            tnef(attribute(0x0002800C, b"x" * 1_000))[:500],
            tnef(*[attribute(0x0002800C, b"")] * 300_000),
            tnef(
                properties(
                    (0x102, 0x1009, struct.pack("<IIII", 0, 0xFFFFFFFF, 0x75465A4C, 0) + b"\x00abcdefgh" * 200_000)
                )
            ),
            tnef(properties((0x102, 0x1009, struct.pack("<IIII", 0, 0xFFFFFFFF, 0x75465A4C, 0) + b"\xff" * 2_000_000))),
            tnef(properties((0x102, 0x1009, struct.pack("<IIII", 0, 4_000_000, 0x414C454D, 0) + b"{" * 4_000_000))),
            tnef(properties((0x102, 0x1009, struct.pack("<IIII", 0, 4_000_000, 0x414C454D, 0) + b"\\u1?" * 1_000_000))),
        ],
        ids=range(8),
    )
    def test_a_hostile_one_takes_bounded_time(self, data: bytes):
        """And raises nothing."""
        began = time.process_time()

        read_tnef(data)

        assert time.process_time() - began < FOREVER_SECONDS

    def test_rich_text_of_html_is_its_words(self):
        """The tags stand in groups of their own."""
        rich = (
            b"{\\rtf1\\fromhtml1{\\*\\htmltag64 <p>}\\htmlrtf \\par \\htmlrtf0 Hello "
            b"{\\*\\htmltag72 </p>}{\\*\\htmltag0 <b>}Ann\\{1\\}}"
        )

        assert rtf_text(rich) == "Hello Ann{1}"


class TestBent:
    @pytest.mark.parametrize(
        ("raw", "body"),
        [
            (b"Content-Type: text/plain; name=message.txt\n\nPlease cancel", "Please cancel"),
            (
                b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nPlease cancel",
                "Please cancel",
            ),
            (
                mixed(b"Content-Type: text/plain\nContent-Disposition: inline; filename=a.txt\n\nPlease cancel"),
                "Please cancel",
            ),
            (b"Subject: x\nPlease cancel my order.\nAnd call me.", "Please cancel my order.\nAnd call me."),
            (b"Subject: x\nPlease cancel my order.\n\nAnd call me.", "Please cancel my order.\n\nAnd call me."),
            (mixed(b"Please cancel my order."), "Please cancel my order."),
            (b"Content-Type: text/plain; charset=utf-7\n\nM+AOQ-rz", "März"),
            (b"Content-Type: text/plain; charset=utf-8\n\nM\xe4rz", "März"),
            (b"Content-Type: text/plain; charset=us-ascii\n\nM\xc3\xa4rz", "März"),
            (
                b"Content-Type: text/plain; format=flowed\n\nPlease \ncancel it.\n\nNow \n> quoted \n> line",
                "Please cancel it.\n\nNow",
            ),
            (
                b"Content-Type: text/plain; format=flowed; delsp=yes\n\nPlea \nse\n -- stuffed\n-- \nAnn",
                "Please\n-- stuffed",
            ),
            (b"Content-Type: text/html\n\n<p>Please <b>cancel</b></p>", "Please cancel"),
        ],
        ids=range(12),
    )
    def test_the_customer_s_words_arrive(self, notes: Notes, raw: bytes, body: str):
        """However their program wrote them."""
        assert read(raw, notes)[0].body == body

    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            ("text/enriched", b"<bold>Please</bold> cancel it."),
            ("text/richtext", b"<bold>Please</bold> cancel it."),
            ("text/markdown; charset=utf-8", b"Please cancel it."),
            ("text/rtf", b"{\\rtf1 Please cancel it.}"),
            ("text/x-unknown", b"Please cancel it."),
            ("message/partial; id=a; number=2; total=2", b"Please cancel it."),
        ],
    )
    def test_a_text_of_another_type_is_read_where_nothing_else_is_said(self, notes: Notes, kind: str, content: bytes):
        """It is told as a file too; beside a text in a usual type it is only that."""
        other = f"Content-Type: {kind}\n\n".encode() + content
        usual = b"\n" + WORDS.encode()

        alone, files = read(other, notes)
        beside, files_beside = read(mixed(usual, other), notes)

        assert (alone.body, beside.body) == ("Please cancel it.", WORDS)
        assert [problem for _, _, problem in told(files) + told(files_beside)] == ["type_not_allowed"] * 2

    @pytest.mark.parametrize("kind", ["text/calendar", "text/csv", "text/vcard"])
    def test_a_file_of_text_is_nobody_s_words(self, notes: Notes, kind: str):
        """Whether or not it has a name."""
        text, files = read(f"Content-Type: {kind}\n\nBEGIN:VCARD".encode(), notes)

        assert (text.body, files.count) == ("", 1)

    @pytest.mark.parametrize(
        "plain",
        [
            "Your e-mail client cannot display HTML.",
            "This is a multi-part message in MIME format.",
            "Ihr E-Mail-Programm unterstützt leider kein HTML.",
            "Please view this message in your browser",
        ],
    )
    def test_a_plain_text_that_only_stands_in_is_not_the_customer_s(self, notes: Notes, plain: str):
        """The HTML is; all of it is kept."""
        parts = f"--b\nContent-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html\n\n<p>{WORDS}</p>\n--b--"

        text, _ = read(f"Content-Type: multipart/alternative; boundary=b\n\n{parts}".encode(), notes)

        assert text.body == WORDS
        assert text.whole == f"{plain}\n\n{WORDS}"

    def test_html_is_read_where_it_alone_marks_what_it_quotes(self, notes: Notes):
        """Some programs write the quotation into the plain text like words of the customer."""
        html = f"<p>{WORDS}</p><div>Xxx yyy Help:</div><blockquote type=cite><p>Dear Ann</p></blockquote>"
        plain = f"{WORDS}\n\nXxx yyy Help:\n\nDear Ann"
        parts = f"--b\n\n{plain}\n--b\nContent-Type: text/html\n\n{html}\n--b--"

        text, _ = read(f"Content-Type: multipart/alternative; boundary=b\n\n{parts}".encode(), notes)

        assert text.body == f"{WORDS}\n\nXxx yyy Help:"

    def test_a_bent_header_among_others_hides_none(self, notes: Notes):
        """It is left out, and what follows it is a header."""
        headers, body = head_and_body(b"Subject: x\nno header\nFrom: a@b\n\nhello", notes)

        assert (headers.get("from"), body) == ("a@b", b"hello")

    @pytest.mark.parametrize("piece", [b"a:\n", b"no header\n", b"x", b" \n", b"a", b":\n"])
    def test_hostile_headers_take_bounded_time(self, notes: Notes, piece: bytes):
        """Whatever is repeated in them."""
        began = time.process_time()

        head_and_body(piece * (4_000_000 // len(piece)), notes)
        read(mixed(*[piece * (4_000 // len(piece))] * 900), notes)

        assert time.process_time() - began < FOREVER_SECONDS
