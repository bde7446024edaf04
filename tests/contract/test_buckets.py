"""What the engine may rely on of the bucket: the same for S3's engines and for the fake that stands for them."""

from __future__ import annotations

import pytest

from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.ports.buckets import FILENAME_BYTES_MAX, UNKNOWN_TYPE
from tests.contract.engines import Engine
from tests.fakes.clock import FakeClock


def test_an_object_is_kept_under_the_url_that_the_put_tells(engine: Engine, fresh: str):
    """Content, type and name; the URL is the bucket's complete name and the key as it was given."""
    url = engine.bucket("attachments").put(f"acme/{fresh}/1", b"%PDF", content_type="application/pdf", filename="a.pdf")

    kept = engine.kept(url)

    assert url.startswith("s3://replies-engine-contract-attachments-")
    assert url.endswith(f"/acme/{fresh}/1")
    assert (kept.content, kept.content_type, kept.filename) == (b"%PDF", "application/pdf", "a.pdf")


def test_the_same_key_again_replaces_the_object(engine: Engine, fresh: str):
    """A put may be repeated: nothing is left of the one before, its name neither."""
    bucket = engine.bucket("attachments")
    first = bucket.put(f"acme/{fresh}/1", b"one", content_type="text/plain", filename="one.txt")

    second = bucket.put(f"acme/{fresh}/1", b"two", content_type="image/png")

    kept = engine.kept(second)
    assert first == second
    assert (kept.content, kept.content_type, kept.filename) == (b"two", "image/png", None)


@pytest.mark.parametrize("size", [0, 1, 1_048_577, 16_777_216])
def test_every_size_up_to_16_mib_is_kept_byte_for_byte(engine: Engine, fresh: str, size: int):
    """In one piece, whatever the pieces in which it goes out."""
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]

    url = engine.bucket("attachments").put(f"acme/{fresh}/{size}", content, content_type=UNKNOWN_TYPE)

    assert engine.kept(url).content == content


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ('audio/ogg; codecs="opus"', 'audio/ogg; codecs="opus"'),
        ("text/plain; charset=latin 1", "text/plain"),
        ("text/plain\r\nx-amz-acl: public-read", UNKNOWN_TYPE),
        ("text/plain; a=b\r\nx-amz-acl: public-read", "text/plain"),
        ("Töxt/plain", UNKNOWN_TYPE),
        ("nonsense", UNKNOWN_TYPE),
        ("", UNKNOWN_TYPE),
        ("a/" + "b" * 300, UNKNOWN_TYPE),
    ],
)
def test_a_content_type_is_kept_or_made_harmless(engine: Engine, fresh: str, told: str, kept: str):
    """A sender chose it, and it becomes a header."""
    url = engine.bucket("attachments").put(f"acme/{fresh}/1", b"x", content_type=told)

    assert engine.kept(url).content_type == kept


@pytest.mark.parametrize(
    "filename",
    [
        "Rechnung März.pdf",
        "見積書.pdf",
        'a"b;c=\\d.txt',
        "a\r\nx-amz-acl: public-read\r\n.txt",
        "../../etc/passwd",
        "100% sure%20.txt",
        "\x00\x7f.bin",
        "👩‍👩‍👧.png",
        " ",
        "",
    ],
)
def test_a_file_s_name_may_hold_any_character(engine: Engine, fresh: str, filename: str):
    """A sender chose it; it is told as plain ASCII and never ends a header."""
    url = engine.bucket("attachments").put(f"acme/{fresh}/1", b"x", content_type="text/plain", filename=filename)

    assert engine.kept(url).filename == filename


@pytest.mark.parametrize(
    ("filename", "ending"),
    [("é" * 2_000 + ".pdf", ".pdf"), ("x" * 5_000, "x"), ("x." + "y" * 5_000, "y"), ("." + "y" * 5_000, "y")],
)
def test_a_name_that_no_header_holds_is_shortened_before_its_ending(
    engine: Engine, fresh: str, filename: str, ending: str
):
    """S3 takes 2 KB of such headers, and a name must not make an attachment impossible to keep."""
    url = engine.bucket("attachments").put(f"acme/{fresh}/1", b"x", content_type="text/plain", filename=filename)

    kept = engine.kept(url).filename
    assert kept is not None
    assert FILENAME_BYTES_MAX - 2 <= len(kept.encode()) <= FILENAME_BYTES_MAX
    assert (kept[:1], kept.endswith(ending)) == (filename[:1], True)


def test_half_a_character_in_a_name_is_replaced(engine: Engine, fresh: str):
    """JSON can spell it, and no header can."""
    url = engine.bucket("attachments").put(f"acme/{fresh}/1", b"x", content_type="text/plain", filename="a\ud83d.txt")

    assert engine.kept(url).filename == "a\ufffd.txt"


def test_a_bucket_that_is_not_there_is_our_fault_and_named(engine: Engine):
    """A retry does not mend it."""
    with pytest.raises(Misconfigured) as told:
        engine.bucket("nowhere").put("acme/1/1", b"x", content_type="text/plain")

    assert told.value.code is Code.CONFIGURATION_ERROR
    assert "replies-engine-contract-nowhere-" in told.value.detail
    assert "NoSuchBucket" in told.value.detail


def test_after_its_deadline_a_bucket_makes_no_call(engine: Engine):
    """The object was certainly not kept."""
    late = engine.bucket("attachments").within(Deadline.after(FakeClock(), 0))
    before = engine.calls()

    with pytest.raises(TryAgain) as refused:
        late.put("acme/1/1", b"x", content_type="text/plain")

    assert (refused.value.code, refused.value.maybe_applied) == (Code.STAGE_WRITE_ERROR, False)
    assert engine.calls() == before
