"""The messages that one reply becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.channels.registry import channels
from chalicelib.messages.contents import CONTENT_BYTES_MAX, MESSAGES_MAX, Content
from chalicelib.messages.lengths import Counting
from chalicelib.messages.parts import MEDIA_MAX, PartLimits, parts_of
from chalicelib.protocol import history
from chalicelib.protocol.entries import entry_bytes
from chalicelib.settings import Settings
from tests.world import ENVIRONMENT

WHATSAPP, SMS, EMAIL = (one.part_limits for one in channels(Settings.from_environment(ENVIRONMENT)))


def urls(count: int) -> list[str]:
    return [f"https://cdn.example.com/{number}.png" for number in range(1, count + 1)]


def parts(body: str, count: int, limits: PartLimits, *, is_template: bool = False) -> list[tuple[str, list[str]]]:
    """Texts, and the numbers of the media with each."""
    content = Content(body, content_sid="HX1" if is_template else None, media_urls=tuple(urls(count)))
    made = parts_of([content], limits)
    return [(one.body, [url.rpartition("/")[2].removesuffix(".png") for url in one.media_urls]) for one in made]


class TestMedia:
    def test_whatsapp_gets_one_message_per_medium_in_order_with_the_text(self):
        """It delivers one medium of a message, and ignores the others."""
        assert parts("Look!", 3, WHATSAPP) == [("Look!", ["1"]), ("", ["2"]), ("", ["3"])]

    def test_media_alone_make_no_empty_message(self):
        """The first message is the first medium."""
        assert parts(" ", 2, WHATSAPP) == [("", ["1"]), ("", ["2"])]

    def test_a_long_text_is_not_interrupted_by_the_second_medium(self):
        """The texts, then the other media."""
        made = parts("word " * 500, 2, WHATSAPP)

        assert [media for _, media in made] == [["1"], [], ["2"]]
        assert [bool(text) for text, _ in made] == [True, True, False]

    def test_sms_takes_ten_media_in_one_message(self):
        """As Twilio does of an MMS."""
        assert parts("Look!", 10, SMS) == [("Look!", [str(number) for number in range(1, 11)])]

    @pytest.mark.parametrize("limits", [WHATSAPP, SMS], ids=["whatsapp", "sms"])
    def test_what_is_beyond_ten_media_goes_as_links(self, limits: PartLimits):
        """Nothing is dropped, and the number of parts stays bounded."""
        made = parts_of([Content("Look!", media_urls=tuple(urls(12)))], limits)

        assert sum(len(one.media_urls) for one in made) == MEDIA_MAX
        assert made[-1].body == "\n".join(urls(12)[10:])

    def test_an_e_mail_is_one_part(self):
        """Its media stand as links below its text."""
        assert parts("Look!", 12, EMAIL) == [("Look!", [str(number) for number in range(1, 13)])]

    def test_a_template_has_a_text_of_its_own(self):
        """Further media follow it."""
        assert parts("ignored", 2, WHATSAPP, is_template=True) == [("", ["1"]), ("", ["2"])]


class TestTexts:
    def test_the_parts_of_an_sms_are_numbered(self):
        """Carriers do not keep the order of messages sent back to back."""
        texts = [text for text, _ in parts("word " * 700, 0, SMS)]

        assert [text[:6] for text in texts] == ["(1/3) ", "(2/3) ", "(3/3) "]
        assert " ".join(text[6:] for text in texts) == ("word " * 700).strip()

    def test_one_sms_and_other_channels_have_no_numbers(self):
        """There is no order to be lost."""
        assert parts("hello", 0, SMS) == [("hello", [])]
        assert not parts("word " * 700, 0, WHATSAPP)[0][0].startswith("(")

    @pytest.mark.parametrize(("sign", "per_sms"), [("a", 1_592), ("{", 796), ("漢", 1_592), ("😀", 796)])
    def test_a_part_is_as_long_as_the_channel_counts(self, sign: str, per_sms: int):
        """Less the room for its number."""
        first, *_ = parts(sign * 4_000, 0, SMS)

        assert len(first[0]) == per_sms + len("(1/3) ")

    def test_whatsapp_counts_an_emoji_twice(self):
        """Its 1,600 characters are units of UTF-16."""
        assert [len(text) for text, _ in parts("😀" * 1_000, 0, WHATSAPP)] == [800, 200]

    @given(st.text(max_size=4_000), st.sampled_from([WHATSAPP, SMS]))
    def test_every_part_fits(self, body: str, limits: PartLimits):
        """Twilio refuses none for its length (21617)."""
        made = parts_of([Content(body)], limits)

        assert all(limits.counting.units(one.body) <= limits.length_max for one in made)
        assert all(one.body for one in made) or not body.strip()


@pytest.mark.parametrize("sign", ["{", "a ", "漢", '"', "€ ", "😀"])
@pytest.mark.parametrize("limits", [WHATSAPP, SMS], ids=["whatsapp", "sms"])
def test_the_longest_reply_fits_into_what_is_left_of_a_record(sign: str, limits: PartLimits):
    """In as many parts as it takes, with all that the record keeps beside each."""
    media = ["https://cdn.example.com/" + "m" * 40] * MEDIA_MAX
    size = entry_bytes(sign) - entry_bytes("")
    body = sign * ((CONTENT_BYTES_MAX - 1_000) // size)
    beside = {
        **dict.fromkeys(("message_id", "direction", "timestamp", "channel_type", "source", "send_id"), "x" * 40),
        "batch_id": "x" * 40,
        "metadata": {"sender": "x" * 40, "recipient": "x" * 40},
    }

    made = parts_of([Content(body, media_urls=tuple(media))], limits)
    entries = [{**beside, "content": one.body, "media": [{"url": url} for url in one.media_urls]} for one in made]

    assert sum(map(entry_bytes, entries)) < 409_600 - history.ENTRIES_BYTES_MAX
    assert len(made) < 99, "the number of a part has two digits"


class TestSeveralContents:
    def test_each_content_is_messages_of_its_own_in_order(self):
        """Each with its own media and template."""
        contents = [Content("one", media_urls=tuple(urls(2))), Content(content_sid="HX1"), Content("three")]

        made = parts_of(contents, WHATSAPP)

        assert [(one.body, len(one.media_urls), one.content_sid) for one in made] == [
            ("one", 1, None),
            ("", 1, None),
            ("", 0, "HX1"),
            ("three", 0, None),
        ]

    def test_media_are_counted_over_all_contents(self):
        """What is beyond the bound goes as links, so the number of parts stays bounded."""
        contents = [Content(media_urls=tuple(urls(6)))] * 2

        made = parts_of(contents, WHATSAPP)

        assert sum(len(one.media_urls) for one in made) == MEDIA_MAX
        assert made[-1].body == "\n".join(urls(6)[4:])

    def test_a_content_whose_media_are_all_links_makes_no_empty_message(self):
        """The links are its text."""
        contents = [Content(media_urls=tuple(urls(MEDIA_MAX))), Content(media_urls=tuple(urls(1)))]

        made = parts_of(contents, WHATSAPP)

        assert made[-1] == Content(urls(1)[0])

    def test_the_most_messages_fit_into_what_is_left_of_a_record(self):
        """With media and the longest texts."""
        body = "a" * (CONTENT_BYTES_MAX // MESSAGES_MAX - 200)
        contents = [Content(body, media_urls=("https://cdn.example.com/" + "m" * 40,))] * MESSAGES_MAX
        beside = dict.fromkeys(("message_id", "direction", "timestamp", "channel_type", "source"), "x" * 40)

        made = parts_of(contents, WHATSAPP)
        entries = [{**beside, "content": one.body, "media": [{"url": url} for url in one.media_urls]} for one in made]

        assert sum(map(entry_bytes, entries)) < 409_600 - history.ENTRIES_BYTES_MAX


def test_lengths_are_counted_by_the_channel():
    """The rows of the registry."""
    assert (WHATSAPP.counting, SMS.counting) == (Counting.UTF_16, Counting.SMS)
