"""What an e-mail is read into: charsets, headers, texts, parts and attachments, whatever the bytes."""

from __future__ import annotations

import encodings
import io
import itertools
import pkgutil
import time
import tracemalloc
import zipfile
from collections.abc import Sequence

import pytest

from chalicelib.channels.email.addresses import address, mailboxes
from chalicelib.channels.email.attachments import TOLD_MAX, Attachments
from chalicelib.channels.email.charsets import decode
from chalicelib.channels.email.headers import BLOCK_BYTES_MAX, Headers, cut, one_line, spoken
from chalicelib.channels.email.html import HTML_LENGTH_MAX, from_html
from chalicelib.channels.email.mime import head_and_body, read_mime
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.texts import Shown, text_of
from chalicelib.messages.attachment_rules import TOO_LARGE, TOO_MANY, TYPE_NOT_ALLOWED
from tests.world import settings_of

FOREVER_SECONDS = 60
"""Of CPU time: more than anything takes on a slow machine under a tracer; speed is the business of bench/email.py."""


READ_AS = {"iso8859_1": "cp1252", "iso8859_9": "cp1254", "tis_620": "cp874"}
"""What is meant by a name that stands for a larger set."""


@pytest.fixture
def notes() -> Notes:
    return Notes()


class TestCharsets:
    @pytest.mark.parametrize(
        ("content", "label", "text"),
        [
            ("März €".encode(), "utf-8", "März €"),
            ("März €".encode(), "UTF8", "März €"),
            ("März €".encode("cp1252"), "iso-8859-1", "März €"),
            ("März €".encode("cp1252"), "Windows-1252", "März €"),
            ("šž".encode("cp1250"), "windows-1250", "šž"),
            ("①注文".encode("cp932"), "Shift_JIS", "①注文"),
            ("①注文".encode("cp932"), "x-sjis", "①注文"),
            ("注文".encode("iso2022_jp"), "ISO-2022-JP", "注文"),
            ("你好㐀".encode("gb18030"), "GB2312", "你好㐀"),
            ("똠방각하".encode("cp949"), "ks_c_5601-1987", "똠방각하"),
            ("привет".encode("koi8-r"), "KOI8-R", "привет"),
            ("שלום".encode("iso8859-8"), "iso-8859-8-i", "שלום"),
            ("สวัสดี".encode("cp874"), "windows-874", "สวัสดี"),
            ("plain".encode("utf-16"), '"utf-16"', "plain"),
            (b"\xef\xbb\xbfx", "utf-8", "x"),
            (b"plain", "", "plain"),
            (b"plain", "no-such", "plain"),
            (b"M+AOQ-rz", "utf-7", "März"),
            (b"M+AOQ-rz", "unicode-1-1-utf-7", "März"),
            ("Привет".encode("koi8-r"), "koi8-r", "Привет"),
            ("①注文".encode("cp932"), "windows-31j", "①注文"),
            ("привіт".encode("koi8-u"), "koi8-ru", "привіт"),
            ("šž".encode("cp1250"), "win-1250", "šž"),
            ("März".encode("cp850"), "CP-850", "März"),
            ("你好".encode("gb2312"), "GB_2312-80", "你好"),
            ("März".encode(), "utf8mb4", "März"),
            ("März".encode(), "charset=utf-8;", "März"),
            ("März €".encode("cp1252"), "ansi", "März €"),
        ],
    )
    def test_a_text_is_read_in_the_charset_that_it_is_in(self, notes: Notes, content: bytes, label: str, text: str):
        """As mail programs mean its name."""
        assert (decode(content, label, notes), str(notes)) == (text, "")

    @pytest.mark.parametrize(
        ("content", "label", "text"),
        [
            ("März".encode(), "", "März"),
            ("März".encode("cp1252"), "utf-8", "März"),
            ("März für März".encode() + b"\xff", "utf-8", "März für März\ufffd"),
            ("März".encode(), "iso-8859-1", "März"),
            ("März".encode(), "windows-1252", "März"),
            ("Привет".encode(), "koi8-r", "Привет"),
            ("März".encode("cp1252"), "", "März"),
            ("März".encode(), "no-such", "März"),
            (b"\x81\x8d", "", "\ufffd\ufffd"),
        ],
    )
    def test_a_wrong_or_unknown_charset_gives_the_best_reading_and_a_note(self, notes: Notes, content, label, text):
        """Nothing is refused for it."""
        assert (decode(content, label, notes), str(notes)) == (text, "charset")

    @pytest.mark.parametrize(
        "label",
        [
            "zlib",
            "bz2",
            "base64",
            "rot13",
            "hex",
            "uu",
            "idna",
            "punycode",
            "unicode_escape",
            "undefined",
            "raw_unicode_escape",
            "mbcs",
            "../os",
            "os",
            "a" * 1000,
            "\x00",
            "é",
            "aliases",
            "charmap",
        ],
    )
    def test_a_codec_that_is_no_charset_is_never_used(self, notes: Notes, label: str):
        """Some unpack, some compute, some make halves of characters."""
        content = b"\\ud800 +2AA- xn--"

        assert decode(content, label, notes) == content.decode()

    @pytest.mark.parametrize("content", [b"\x1b.J\x1bNa", b"\x1b.J\x1bNa\xff"])
    def test_a_codec_that_gives_up_is_no_fault_of_ours(self, notes: Notes, content: bytes):
        """One of them raises what no decoding is said to raise."""
        with pytest.raises(RuntimeError):
            content.decode("iso2022_jp_2")

        text = decode(content, "iso-2022-jp-2", notes)

        assert (text.replace("\xff", "ÿ"), str(notes)) == (content.decode("cp1252"), "charset")

    def test_unknown_labels_leave_nothing_behind(self, notes: Notes):
        """Python keeps every name that it looked up for as long as the process lives."""
        known = set(encodings._cache)

        for number in range(1_000):
            decode(b"x", f"no-such-{number}", notes)

        assert set(encodings._cache) == known

    def test_every_charset_of_python_is_known_by_its_name(self, notes: Notes):
        """But for one that no mail program writes."""
        of_single_bytes = ("cp", "iso8859_", "koi8_", "mac_", "kz", "ptcp", "hp_", "tis_")
        names = [one.name for one in pkgutil.iter_modules(encodings.__path__) if one.name.startswith(of_single_bytes)]

        content = b"\xc1\xa1"
        as_told = {name: content.decode(READ_AS.get(name, name), "replace") for name in names}

        unread = [name for name in names if decode(content, name, notes) != as_told[name]]

        assert unread == ["mac_latin2"]


class TestHeaders:
    def test_headers_are_unfolded_and_found_by_any_case(self, notes: Notes):
        """The first of several counts; all can be had."""
        headers = Headers.parse(b"Subject: a\r\n\tb\nX: 1\r\nx: 2\r\n", notes)

        assert (headers.get("subject"), headers.get("x"), headers.all("x")) == ("a\tb", "1", ["1", "2"])
        assert (headers.get("missing"), str(notes)) == ("", "")

    def test_a_line_that_is_no_header_is_left_out(self, notes: Notes):
        """And those below it are not lost."""
        headers = Headers.parse(b"no header\nA: 1\n: 2\n\xff: 3\nA B: 4\n\nB: 5\n", notes)

        assert headers.items == [("a", "1"), ("b", "5")]
        assert str(notes) == "headers"

    @pytest.mark.parametrize(
        "block",
        [
            b"A: " + b"x" * 4_000_000,
            b"A: x\n" * 800_000,
            b"A: x\n" + b" y\n" * 1_000_000,
            b"\n" * 4_000_000,
            b"\xff" * 4_000_000,
        ],
        ids=["long", "many", "folded", "blank", "no text"],
    )
    def test_huge_headers_are_read_within_bounds(self, notes: Notes, block: bytes):
        """With a note."""
        headers = Headers.parse(block, notes)

        assert sum(len(name) + len(value) for name, value in headers.items) <= BLOCK_BYTES_MAX
        assert str(notes) == "headers"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("plain", "plain"),
            ("=?UTF-8?B?TcOkcno=?=", "März"),
            ("=?iso-8859-1?q?M=E4rz?= und =?utf-8?q?mehr?=", "März und mehr"),
            ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
            ("März =?utf-8?q?a?= \u20ac", "März a \u20ac"),
            ("=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
            ("a\r\n b\x00c\u2028d\x1b[0m", "a b c d [0m"),
            ("=?utf-8?B?A?=", "=?utf-8?B?A?="),
            ("=?no-such?q?=E4?=", "ä"),
            ("cv\u202efdp.exe", "cvfdp.exe"),
            ("=?unicode_escape?q?=5Cud800?=", "\\ud800"),
            ("=?utf-8?q?a?= \\ud800", "a "),
            ("=?utf-8?q?a?= \\U00110000", "a \\U00110000"),
        ],
    )
    def test_what_people_read_is_one_line_without_controls(self, notes: Notes, value: str, text: str):
        """Whatever is encoded in it."""
        assert spoken(value, notes, bytes_max=100).rstrip() == text.rstrip()

    @pytest.mark.parametrize("value", ["ä" * 500, "a" * 500, "\U0001f44b" * 500, "=?utf-8?q?" + "=C3=A4" * 500 + "?="])
    def test_it_is_cut_at_a_character(self, notes: Notes, value: str):
        """To a length in bytes."""
        told = spoken(value, notes, bytes_max=99)

        assert 90 <= len(told.encode()) <= 99
        assert "\ufffd" not in told

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("Ann@Customer.Example", "ann@customer.example"),
            (" <ann@customer.example> ", "ann@customer.example"),
            ("jörg@exämple.example", "jörg@exämple.example"),
            ("o'neil+tag@a-b.example", "o'neil+tag@a-b.example"),
        ],
    )
    def test_an_address_is_in_lower_case_and_bare(self, value: str, text: str):
        """As the index has it."""
        assert address(value) == text

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b\r\nc",
            "a@b,c@d",
            "a@b@c",
            "a\x00@b",
            "a\u202e@b",
            "a\u200b@b",
            "<a@b>c@d",
            "x" * 65 + "@b",
            "a@" + "b" * 256,
            "ä" * 64 + "@" + "ä" * 200,
            '"a"@b',
            "a@[1.2.3.4]",
            "a@b/c",
            "\ud800@b",
        ],
    )
    def test_what_is_no_address_is_none(self, value: str):
        """An index key and a header's value come of it."""
        assert address(value) is None

    @pytest.mark.parametrize(
        "value", ["(" * 4_000, "\\", '"', "<" * 4_000, "a@b," * 1_000, '"' + "\\" * 3_999, "@:" * 2_000, "=?" * 2_000]
    )
    def test_a_bent_list_of_mailboxes_raises_nothing(self, value: str):
        """And takes no time."""
        began = time.process_time()

        mailboxes(value)

        assert time.process_time() - began < FOREVER_SECONDS

    @pytest.mark.parametrize("bytes_max", range(9))
    def test_a_cut_leaves_whole_characters(self, bytes_max: int):
        """However many bytes each takes."""
        text = "aä\u20ac\U0001f44b"

        assert text.startswith(cut(text, bytes_max))
        assert len(cut(text, bytes_max).encode()) <= bytes_max
        assert len(one_line(text, bytes_max=bytes_max).encode()) <= bytes_max


HOSTILE_TEXTS = {
    "On": "On ",
    "On lines": "On a\n",
    "schrieb": "Am a schrieb ",
    "schrieb lines": "Am " + "schrieb " * 20 + "\n",
    "dates": "2020/1/1 " + "a <b@" * 60,
    "date lines": "2020/1/1 " + "a <b@" * 38 + "\n",
    "headers": "From: a\n",
    "any headers": "a: b\n",
    "header and blank": "From: b\n\n",
    "quotes": "> \n",
    "quotes and text": "> a\n> b\nx\n",
    "blank": "\n",
    "spaces": " ",
    "dashes": "-- \n",
    "underscores": "_" * 32 + "\n",
    "original": "---- Original Message ----\n",
    "one line": "a",
    "wrote": "On a wrote ",
    "controls": "\x00\x1b\r",
    "marks": "\u202e\u2028",
}
HOSTILE_PAGES = {
    "divs": "<div>",
    "fonts": "<font>a",
    "tables": "<table><tr><td>",
    "unclosed": "<",
    "attributes": "<a " + " ".join(f"b{number}=c" for number in range(12_000)) + ">x",
    "comments": "<!-- a -->x",
    "unclosed comments": "<!--",
    "scripts": "<script>a</script>x",
    "styles": "<style>a",
    "instructions": "<?a b?>x",
    "entities": "&amp;&#0;&#xd800;&#x110000;&nope;",
    "unknown": "<x><y/><z:z>",
    "doctype": '<!DOCTYPE html [<!ENTITY a "b">]>&a;',
    "links": "<a href=x>a",
    "nul": "a\0b",
    "halves": "\ud800",
}


class TestHostileTexts:
    @pytest.mark.parametrize("piece", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
    @pytest.mark.parametrize("length", [16_000, 1_000_000])
    def test_a_text_takes_bounded_time(self, notes: Notes, piece: str, length: int):
        """Whatever is repeated in it."""
        began = time.process_time()

        text_of([Shown(piece * (length // len(piece) + 1))], notes, bytes_max=8_192)

        assert time.process_time() - began < FOREVER_SECONDS

    @pytest.mark.parametrize("piece", HOSTILE_PAGES.values(), ids=HOSTILE_PAGES.keys())
    @pytest.mark.parametrize("length", [10_000, 2_000_000])
    def test_a_page_takes_bounded_time(self, notes: Notes, piece: str, length: int):
        """Deep, wide or broken; what is not read of it is noted."""
        page = piece * (length // len(piece) + 1)
        began = time.process_time()

        from_html(page, notes)

        assert time.process_time() - began < FOREVER_SECONDS
        assert "html" in str(notes) or len(page) <= HTML_LENGTH_MAX

    @pytest.mark.parametrize("tag", ["div", "b", "x", "o:p", "table><tr><td"])
    def test_html_is_read_however_deeply_it_is_nested(self, notes: Notes, tag: str):
        """To its innermost word."""
        page = from_html(f"<{tag}>" * 5_000 + "x", notes)

        assert (page.text, page.is_whole, str(notes)) == ("x", True, "")

    @pytest.mark.parametrize("tag", ["b", "x", "ul><li", "font><p"])
    def test_depth_takes_no_more_time_than_length(self, notes: Notes, tag: str):
        """Each word stays a word, and what is not read is not, however deep."""
        began = time.process_time()

        page = from_html(f"<{tag}>" * 50_000 + "one<div>two</div><script>three</script>four", notes)

        assert (page.text.split(), page.is_whole) == (["one", "two", "four"], True)
        assert time.process_time() - began < FOREVER_SECONDS

    @pytest.mark.parametrize("page", ["", " ", "<", "<!-- -->", "<?a?>", "\0", "<html></html>", "<title>t</title>"])
    def test_an_empty_page_is_an_empty_text(self, notes: Notes, page: str):
        """Some of these are no page at all."""
        assert from_html(page, notes).text in {"", "<"}

    def test_what_a_page_hides_is_not_read(self, notes: Notes):
        """Neither programs nor styles nor comments; no outside resource is asked for."""
        page = "<head><title>t</title></head><style>a</style><script>b</script><p>shown<!-- c --> all</p><img src=x>"

        assert from_html(page, notes).text == "shown all"

    @pytest.mark.parametrize(
        ("page", "text"),
        [
            ("<p>one<o:p></o:p></p><p>two<o:p>&nbsp;</o:p></p>", "one\n\ntwo"),
            ("</html>x<html>y", "xy"),
            ("<frameset>a<p>y</frameset></html>z", "a\n\ny\n\nz"),
            ("<p <b>x", "x"),
            ("<my-tag>x</my-tag><y.z>", "x"),
        ],
    )
    def test_a_page_that_is_bent_loses_no_word(self, notes: Notes, page: str, text: str):
        """Word's own tags are in every page of Outlook's."""
        assert from_html(page, notes).text == text

    def test_a_tag_with_thousands_of_attributes_takes_no_time(self, notes: Notes):
        """Distinct names are compared with one another by whoever keeps them."""
        names = " ".join("".join(one) for one in itertools.product("abcdefghijklmnopqrstuvwxyz0123456789", repeat=3))
        began = time.process_time()

        assert from_html(f"<p {names}>x", notes).text == "x"

        assert time.process_time() - began < FOREVER_SECONDS


WORDS = "<p>Please cancel my order</p>"


class TestShown:
    @pytest.mark.parametrize("length", [140_000, 500_000])
    @pytest.mark.parametrize(
        "before", ['<img src="data:image/png;base64,{}">', "<style>{}</style>", "<!-- {} -->", "<p class={}>"]
    )
    def test_words_behind_what_is_no_text_are_read(self, notes: Notes, before: str, length: int):
        """Pictures and styles come first, and can be long."""
        text = text_of([Shown(html=before.format("A" * length) + WORDS)], notes, bytes_max=8_192)

        assert (text.body, text.whole, str(notes)) == ("Please cancel my order", None, "")

    @pytest.mark.parametrize("plain", ["", "Scanned."])
    def test_html_that_is_not_read_to_its_end_is_kept_as_it_is(self, notes: Notes, plain: str):
        """None of its words is lost."""
        html = "<p>a</p>" + " " * HTML_LENGTH_MAX + WORDS

        text = text_of([Shown(plain, html)], notes, bytes_max=8_192)

        assert text.body == (plain or "a")
        assert text.whole == "\n\n".join(filter(None, [plain, html]))
        assert str(notes) == "html"

    def test_all_pages_together_are_read_within_one_bound(self, notes: Notes):
        """What comes behind it is kept."""
        page = "<b></b>" * (HTML_LENGTH_MAX // 7) + "<p>one</p>"

        text = text_of([Shown(html=page), Shown(html=WORDS)], notes, bytes_max=8_192)

        assert text.whole is not None
        assert text.whole.endswith(WORDS)

    @pytest.mark.parametrize(
        ("plain", "html", "whole"),
        [
            ("Please cancel\nmy order.", WORDS, None),
            ("Please *cancel* my order <https://a.example>", WORDS, None),
            ("Scanned by ExampleGate", WORDS, "Scanned by ExampleGate\n\nPlease cancel my order"),
            ("order my cancel Please", WORDS, "order my cancel Please\n\nPlease cancel my order"),
            ("Please", "<img src=x>", None),
        ],
    )
    def test_what_html_alone_says_is_kept(self, notes: Notes, plain: str, html: str, whole: str | None):
        """A plain text is the body, whatever it is; a gateway's footer may be all of it."""
        text = text_of([Shown(plain, html)], notes, bytes_max=8_192)

        assert (text.body, text.whole, str(notes)) == (plain, whole, "")

    def test_a_text_without_end_is_kept_whole(self, notes: Notes):
        """Whatever it takes in UTF-8."""
        lengthy = "\u20ac" * 4_000_000

        assert text_of([Shown(lengthy)], notes, bytes_max=8_192).whole == lengthy


def read(raw: bytes, notes: Notes, **settings: str) -> tuple[Sequence[Shown], Attachments]:
    attachments = Attachments(settings_of(tuple(settings.items())), notes)
    return read_mime(*head_and_body(raw, notes), attachments, notes), attachments


def plain(shown: Sequence[Shown]) -> str:
    """All of its plain texts."""
    return "\n\n".join(one.plain for one in shown)


def nested(depth: int, content: bytes) -> bytes:
    """Multiparts within multiparts."""
    heads = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (one, one) for one in range(depth)]
    return b"".join(heads) + content


PREFIXES = [
    b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % (one, one)
    for one in (b"abcdefgh"[:length] for length in range(1, 9))
]
"""Multiparts within multiparts, of which each boundary looks like the start of all below it."""


def unknown_words(part: int) -> bytes:
    """Encoded words, each in a character set that nobody knows, and none has named before."""
    return b"".join(b"=?x%x?q?a?= " % (part * 100 + word) for word in range(70))


class TestMime:
    def test_parts_are_found_whichever_line_ends_they_have(self, notes: Notes):
        """CRLF, LF, and white space behind a boundary; preamble and epilogue left out."""
        first, second = b"\r\n\r\none\r\n", b"\nContent-Type: text/plain\n\ntwo\n"
        raw = b"Content-Type: multipart/mixed; boundary=b\n\npre\n--b \t" + first + b"--b" + second + b"--b--\nepi"

        shown, _ = read(raw, notes)

        assert (plain(shown), str(notes)) == ("one\n\ntwo", "")

    @pytest.mark.parametrize(
        ("kind", "parts", "body", "whole"),
        [
            ("mixed", ["html", "plain"], "Please cancel my order\n\nScanned.", None),
            ("mixed", ["plain", "html"], "Scanned.\n\nPlease cancel my order", None),
            ("related", ["html", "plain"], "Please cancel my order\n\nScanned.", None),
            ("alternative", ["plain", "html"], "Scanned.", "Scanned.\n\nPlease cancel my order"),
            ("alternative", ["html", "plain"], "Scanned.", "Scanned.\n\nPlease cancel my order"),
            ("alternative", ["html"], "Please cancel my order", None),
            ("alternative", [], "", None),
        ],
    )
    def test_of_alternatives_alone_one_is_chosen(self, notes: Notes, kind: str, parts: list[str], body, whole):
        """All other texts are read one after the other."""
        content = {"html": WORDS, "plain": "Scanned."}
        told = "".join(f"--b\nContent-Type: text/{one}\n\n{content[one]}\n" for one in parts)

        shown, _ = read(f"Content-Type: multipart/{kind}; boundary=b\n\n{told}--b--".encode(), notes)
        text = text_of(shown, notes, bytes_max=8_192)

        assert (text.body, text.whole) == (body, whole)

    def test_a_footer_beside_alternatives_is_read_after_them(self, notes: Notes):
        """Lists and gateways add one."""
        inner = (
            f"--c\nContent-Type: text/plain\n\nPlease cancel my order\n--c\nContent-Type: text/html\n\n{WORDS}\n--c--"
        )
        first = f"--b\nContent-Type: multipart/alternative; boundary=c\n\n{inner}\n"
        raw = f"Content-Type: multipart/mixed; boundary=b\n\n{first}--b\nContent-Type: text/html\n\n<p>Scanned.\n--b--"

        shown, _ = read(raw.encode(), notes)
        text = text_of(shown, notes, bytes_max=8_192)

        assert (text.body, text.whole) == ("Please cancel my order\n\nScanned.", None)

    @pytest.mark.parametrize(
        ("head", "filename"),
        [
            ('Content-Disposition: attachment; filename="a b.pdf"', "a b.pdf"),
            ("Content-Disposition: attachment; filename*=UTF-8''M%C3%A4rz.pdf", "März.pdf"),
            ("Content-Disposition: attachment;\r\n filename*0*=UTF-8''M%C3;\r\n filename*1*=%A4rz.pdf", "März.pdf"),
            ('Content-Disposition: attachment; filename="=?UTF-8?Q?M=C3=A4rz.pdf?="', "März.pdf"),
            ('Content-Type: application/pdf; name="a.pdf"', "a.pdf"),
            ('Content-Disposition: attachment; filename="../../etc/passwd"', "passwd"),
            ('Content-Disposition: attachment; filename="C:\\\\temp\\\\a.pdf"', "a.pdf"),
            ('Content-Disposition: attachment; filename="a\x00\x1b.pdf"', "a .pdf"),
            ("Content-Disposition: attachment; filename*=no-such''%E4.pdf", "ä.pdf"),
            ("Content-Disposition: attachment", None),
        ],
    )
    def test_a_part_with_a_name_or_a_disposition_is_an_attachment(self, notes: Notes, head: str, filename: str | None):
        """The name alone, decoded, without folders and controls."""
        raw = f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{head}\r\n\r\nx\r\n--b--".encode()

        _, attachments = read(raw, notes)

        assert [one.filename for one in attachments.attachments] == [filename]

    @pytest.mark.parametrize(
        ("encoding", "content", "text", "note"),
        [
            ("base64", b"TcOk\r\ncno=\r\n", "März", ""),
            ("BASE64", b"TcOkcno", "März", "encoding"),
            ("base64", b"TcOk!cno=\xff", "März", ""),
            ("base64", b"A", "", "encoding"),
            ("base64", b"SGVsbG8=\r\nIEFubg==\r\nIQ==\r\n", "Hello Ann!", ""),
            ("base64", b"SGVsbG8=IEFubg", "Hello Ann", "encoding"),
            ("base64", b"SGVs=bG8=", "Hello", "encoding"),
            ("base64", b"SGVsbG8====", "Hello", "encoding"),
            ("quoted-printable", b"M=C3=A4rz =\r\nund", "März und", ""),
            ("quoted-printable", b"100=% =Z=", "100=% =Z", ""),
            ("8bit", "März".encode(), "März", ""),
            ("x-unknown", b"as it is", "as it is", ""),
        ],
    )
    def test_a_transfer_encoding_is_undone_as_far_as_it_can_be(self, notes: Notes, encoding, content, text, note):
        """What is damaged is noted."""
        head = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"

        shown, _ = read(head.encode() + content, notes)

        assert (plain(shown).rstrip("="), str(notes)) == (text, note)

    def test_a_last_part_that_nothing_ends_is_read(self, notes: Notes):
        """With a note."""
        shown, _ = read(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo", notes)

        assert (plain(shown), str(notes)) == ("one\n\ntwo", "parts")

    @pytest.mark.parametrize("kind", ["multipart/mixed", 'multipart/mixed; boundary=""', "multipart/mixed; boundary=c"])
    def test_a_multipart_whose_parts_cannot_be_found_is_told_as_text(self, notes: Notes, kind: str):
        """Better than nothing."""
        shown, _ = read(f"Content-Type: {kind}\n\n--b\n\none\n--b--".encode(), notes)

        assert "one" in plain(shown)
        assert str(notes) == "parts"

    @pytest.mark.parametrize(("depth", "note"), [(7, ""), (9, "parts"), (500, "parts"), (40_000, "parts")])
    def test_what_is_nested_too_deeply_is_one_attachment(self, notes: Notes, depth: int, note: str):
        """And not opened."""
        closing = b"".join(b"\r\n--b%d--" % one for one in reversed(range(depth)))

        shown, attachments = read(nested(depth, b"\r\ninner" + closing), notes)

        assert plain(shown) == ("" if note else "inner")
        assert [one.problem for one in attachments.attachments] == ([TYPE_NOT_ALLOWED] if note else [])
        assert note in str(notes)

    @pytest.mark.parametrize(
        "raw",
        [
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 800_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nA: b\n\nx\n" * 330_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b" + b" " * 4_000_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b \t " * 600_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b'--b\nContent-Type: a/b;"' + b";" * 4_000_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n"
            + (b'--b\nContent-Type: a/b;"' + b";" * 4_000 + b"\n\nx\n") * 900,
            nested(200, b"\n" + b"-a\n" * 1_200_000),
            b"Content-Type: message/rfc822\n\n" * 130_000,
            b"".join(PREFIXES) + b"\n" + b"--abcdefgh" * 400_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n"
            + b"".join(b'--b\nContent-Type: a/b; name="%s"\n\nx\n' % unknown_words(part) for part in range(1_000)),
            b"Subject: x\n\n" + b"a\n" * 2_000_000,
            b"\n" * 4_000_000,
            b"\x00" * 4_000_000,
            b"Content-Transfer-Encoding: base64\n\n" + b"=" * 4_000_000,
            b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 4_000_000,
        ],
        ids=range(15),
    )
    def test_a_hostile_e_mail_takes_bounded_time_and_memory(self, notes: Notes, raw: bytes):
        """4 MB of anything: read in the time and the memory of a few copies."""
        tracemalloc.start()
        began = time.process_time()

        shown, _ = read(raw, notes)
        text_of(shown, notes, bytes_max=8_192)

        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert time.process_time() - began < FOREVER_SECONDS
        assert peak < 150_000_000


class TestAttachments:
    def test_what_breaks_a_limit_is_told_without_its_content(self, notes: Notes):
        """Each by the limit that it breaks; those that break none are counted alone."""
        chosen = settings_of((("attachments_max", "1"), ("attachment_bytes_max", "3")))
        attachments = Attachments(chosen, notes)

        for content, kind in [(b"1234", "image/png"), (b"1", "text/html"), (b"1", "image/png"), (b"2", "image/png")]:
            attachments.add(content, kind, "a")

        told = [(one.content, one.size_bytes, one.problem) for one in attachments.attachments]
        assert told == [(b"", 4, TOO_LARGE), (b"", 1, TYPE_NOT_ALLOWED), (b"1", 1, None), (b"", 1, TOO_MANY)]

    def test_of_very_many_some_are_told_and_all_are_counted(self, notes: Notes):
        """With a note; a row has little room."""
        attachments = Attachments(settings_of(()), notes)

        for _ in range(1_000):
            attachments.add(b"x", "image/png", "a.png")

        told = attachments.attachments
        assert (len([one for one in told if one.problem is None]), attachments.count) == (10, 1_000)
        assert 20 <= len(told) <= TOLD_MAX
        assert str(notes) == "attachments"

    def test_an_archive_is_just_bytes(self, notes: Notes):
        """Nothing is unpacked: a bomb of a gigabyte takes what it takes packed."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", b"\0" * 50_000_000)
        attachments = Attachments(settings_of((("attachment_types", "*"),)), notes)
        tracemalloc.start()

        attachments.add(packed.getvalue(), "application/zip", "bomb.zip")

        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert attachments.attachments[0].content == packed.getvalue()
        assert peak < 1_000_000

    @pytest.mark.parametrize(
        ("filename", "told"),
        [
            ("a.pdf", "a.pdf"),
            ("", None),
            ("/", None),
            ("..", ".."),
            ("../a\r\nb.pdf", "a b.pdf"),
            ("x" * 500 + ".pdf", "x" * 76 + ".pdf"),
            ("ä" * 500 + ".pdf", "ä" * 38 + ".pdf"),
            ("x" * 500, "x" * 80),
            ("a." + "b" * 500, "a." + "b" * 78),
            ("cv\u202efdp.exe", "cvfdp.exe"),
        ],
    )
    def test_a_name_is_short_and_safe(self, notes: Notes, filename: str, told: str | None):
        """Its ending stays where it is one."""
        attachments = Attachments(settings_of(()), notes)

        attachments.add(b"x", "application/pdf", filename)

        assert attachments.attachments[0].filename == told

    @pytest.mark.parametrize(
        ("told", "kept_as"),
        [
            ("IMAGE/PNG; name=x", "image/png"),
            ("text/plain\r\nX: y", "application/octet-stream"),
            ("", "application/octet-stream"),
            ("a/" + "b" * 200, "application/octet-stream"),
            ("image/é", "application/octet-stream"),
        ],
    )
    def test_a_type_is_bare_and_safe(self, notes: Notes, told: str, kept_as: str):
        """It becomes a header of the bucket's."""
        attachments = Attachments(settings_of((("attachment_types", "*"),)), notes)

        attachments.add(b"x", told, "a")

        assert attachments.attachments[0].content_type == kept_as

    def test_what_has_no_content_is_none(self, notes: Notes):
        """Some programs attach empty parts."""
        attachments = Attachments(settings_of(()), notes)

        attachments.add(b"", "image/png", "a.png")

        assert (attachments.attachments, attachments.count) == ((), 0)


@pytest.mark.parametrize(
    "parameters",
    [
        "filename*=''''",
        "filename*0*1=x; filename*=y",
        "filename*99999999999999999999=x",
        "filename*0*=x'y",
        "=; ==; ;;",
        '"; "; \\"',
        "filename*=unicode_escape''%5Cud800",
        "filename*0*=zlib''x; filename*1*=%FF",
        "boundary*=utf-8''b; charset*=''x",
        "name*=utf-8''x; name*0=x",
        "filename*=utf-8''x; filename*0=x",
        "boundary*=utf-8''b; boundary*0=b",
        "charset*=utf-8''x; charset*0=x",
    ],
)
@pytest.mark.parametrize("head", ["Content-Disposition: attachment", "Content-Type: multipart/mixed"])
def test_bent_parameters_raise_nothing(notes: Notes, head: str, parameters: str):
    """A name is found in them, or none."""
    raw = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{head}; {parameters}\n\nx\n--b--".encode()

    shown, attachments = read(raw, notes)

    assert plain(shown).strip() == "x" or attachments.count == 1
