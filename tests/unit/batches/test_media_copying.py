"""Media that a provider keeps are copied before dispatch, where that is on, and never in anybody's way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.channels.fetcher import NotFetched
from chalicelib.clock import Deadline
from chalicelib.telemetry import Metric
from tests.fakes.faults import Fault
from tests.world import SECRET_REF, World, conversation

PICTURE, SOUND = (b"\x89PNG", "image/png"), (b"OggS", "audio/ogg")
ON = {"media_copying": "true"}
FETCH, PUT = 4, 5
"""The calls of a batch's first medium: after giving up the trigger lock and reading stage and record."""


def due(world: World, *files: tuple[bytes, str], body: str = "look") -> str:
    """A message with media whose window is over; its sid."""
    sid = world.deliver(body, **world.with_media(*files))
    world.clock.advance(11)
    return sid


def media(world: World) -> list[dict[str, Any]]:
    """The media of the first message of the one batch that the AI receives."""
    (document,) = world.take(world.queues.ai)
    return document["messages"][0]["media"]


def counted(world: World) -> list[str]:
    return [outcome for name, _, _, outcome in world.telemetry.counts if name == Metric.MEDIA_COPIED.value]


def operations(world: World) -> list[str]:
    return [call.operation for call in world.plan.calls]


@pytest.fixture
def media_copying() -> World:
    return World(None, **ON)


class TestCopies:
    def test_the_ai_gets_urls_of_our_bucket(self, media_copying: World):
        """With type and size; the company's folder, a name that nobody can guess, and the medium's number."""
        due(media_copying, PICTURE, SOUND)

        media_copying.work()

        first, second = media(media_copying)
        assert (first["content_type"], first["size_bytes"], "problem" in first) == ("image/png", 4, False)
        assert first["url"].startswith("s3://attachments/acme/")
        assert [one["url"].rpartition("/")[2] for one in (first, second)] == ["1", "2"]
        assert [(content, kind) for content, kind, _ in media_copying.bucket.objects.values()] == [PICTURE, SOUND]
        assert counted(media_copying) == ["copied", "copied"]

    def test_the_record_names_the_copies_too(self, media_copying: World):
        """So whatever comes of the batch later - a resume, a carry - needs no secret either."""
        due(media_copying, PICTURE)
        media_copying.plan.faults = {len(media_copying.plan.calls) + 7: Fault.CRASH_BEFORE}
        media_copying.work()
        media_copying.clock.advance(181)

        media_copying.work()

        (one,) = media(media_copying)
        assert one["url"].startswith("s3://")
        assert media_copying.row["messages"][0]["media"] == [one]
        assert operations(media_copying).count("FetchMedia") == 1

    def test_nothing_is_copied_unless_it_is_switched_on(self):
        """The provider's URL stays, and not a call is made for it."""
        world = World()
        due(world, PICTURE)

        world.work()

        (one,) = media(world)
        assert one == {"url": next(iter(world.media.files)), "content_type": "image/png"}
        assert {"FetchMedia", "PutObject"}.isdisjoint(operations(world))

    def test_a_batch_without_media_costs_nothing_more(self, media_copying: World):
        """Not even the secret is asked for."""
        media_copying.deliver()
        media_copying.clock.advance(11)
        before = len(media_copying.plan.calls)

        media_copying.work()

        batch = ["DeleteItem", "Query", "BatchGetItem", "UpdateItem", "SendMessage", "BatchWriteItem"]
        assert operations(media_copying)[before:] == batch

    def test_what_goes_to_people_goes_as_it_came(self, media_copying: World):
        """At the webhook or in stage 2: they are not kept waiting."""
        due(media_copying, PICTURE)
        media_copying.tables.conversations.seed({**media_copying.row, "auto_queue_reply_message": True})

        media_copying.work()

        (document,) = media_copying.take(media_copying.queues.handoff)
        assert document["messages"][0]["media"][0]["url"].startswith("https://api.twilio.com/")
        assert "FetchMedia" not in operations(media_copying)

    def test_a_channel_whose_provider_keeps_no_media_has_nothing_to_copy(self, media_copying: World):
        """What an e-mail encloses is in the bucket already: its channel has no fetcher."""
        media_copying.engine.fetchers = {}
        due(media_copying, PICTURE)

        media_copying.work()

        assert media(media_copying)[0]["url"].startswith("https://")
        assert counted(media_copying) == []

    def test_a_look_that_is_repeated_fetches_nothing_twice(self, media_copying: World):
        """The record changed while the media came in; what was copied is not fetched again."""
        due(media_copying, PICTURE)
        media_copying.plan.interleave(
            len(media_copying.plan.calls) + PUT + 1,
            lambda: media_copying.tables.conversations.seed(
                {**media_copying.row, "messages": [{"message_id": "of the company"}]}
            ),
        )

        media_copying.work()

        assert media(media_copying)[0]["url"].startswith("s3://")
        assert operations(media_copying).count("FetchMedia") == operations(media_copying).count("PutObject") == 1

    def test_the_type_that_came_with_the_content_is_told(self, media_copying: World):
        """It is what the object is; the message's is only what was announced."""
        sid = media_copying.deliver(**media_copying.with_media(PICTURE))
        media_copying.media.files = dict.fromkeys(media_copying.media.files, (b"x", "image/webp"))
        media_copying.clock.advance(11)

        media_copying.work()

        (one,) = media(media_copying)
        assert one["content_type"] == "image/webp"
        assert [kind for _, kind, _ in media_copying.bucket.objects.values()] == ["image/webp"]
        assert media_copying.entry_ids == [sid]


class TestFailures:
    @pytest.mark.parametrize("call", [FETCH, PUT])
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_a_copy_that_fails_leaves_the_provider_s_url_and_says_so(
        self, media_copying: World, call: int, fault: Fault
    ):
        """The batch goes on, and the next medium is copied."""
        due(media_copying, PICTURE, SOUND)
        media_copying.plan.faults = {len(media_copying.plan.calls) + call: fault}

        media_copying.work()

        first, second = media(media_copying)
        assert first["url"].startswith("https://api.twilio.com/")
        assert first["problem"] == "copy_failed"
        assert second["url"].startswith("s3://")
        assert counted(media_copying) == ["copy_failed", "copied"]

    def test_the_line_of_a_failure_tells_why_and_no_address(self, media_copying: World):
        """A medium's URL may open it."""
        due(media_copying, PICTURE)
        media_copying.media.files.clear()

        media_copying.work()

        (line,) = (line for line in media_copying.telemetry.lines if line["step"] == "media_not_copied")
        assert (line["level"], line["outcome"], line["reason"]) == ("warning", "copy_failed", "status 404")
        assert "https:" not in json.dumps(media_copying.telemetry.lines)

    @pytest.mark.parametrize(
        ("limit", "value", "problems"),
        [
            ("attachment_bytes_max", "3", ["too_large", "too_large"]),
            ("attachment_types", "audio/*", ["type_not_allowed", None]),
            ("attachments_max", "1", [None, "too_many"]),
        ],
    )
    def test_what_breaks_a_limit_stays_where_it_is(self, limit: str, value: str, problems: list[str | None]):
        """The same limits as for what an e-mail encloses, by the same words."""
        world = World(None, **ON, **{limit: value})
        due(world, PICTURE, SOUND)

        world.work()

        told = media(world)
        assert [one.get("problem") for one in told] == problems
        assert [one["url"].startswith("s3://") for one in told] == [problem is None for problem in problems]
        assert counted(world) == [problem or "copied" for problem in problems]

    def test_what_is_announced_as_unwanted_is_not_fetched(self):
        """Its type alone is enough."""
        world = World(None, **ON, attachment_types="audio/*")
        due(world, PICTURE)

        world.work()

        assert "FetchMedia" not in operations(world)

    def test_all_media_of_a_batch_share_one_time(self, media_copying: World):
        """What does not come in time stays where it is, and nothing is asked for any more."""
        due(media_copying, PICTURE, SOUND, PICTURE)
        media_copying.plan.interleave(len(media_copying.plan.calls) + PUT, lambda: media_copying.clock.advance(9))

        media_copying.work()

        assert [one.get("problem") for one in media(media_copying)] == [None, "copy_failed", "copy_failed"]
        assert operations(media_copying).count("FetchMedia") == 1

    def test_no_copy_begins_that_could_outlast_the_worker(self, media_copying: World):
        """An object may take as long as two answers of S3 to be kept; the batch goes out without its copies."""
        due(media_copying, PICTURE)
        media_copying.plan.interleave(len(media_copying.plan.calls) + 3, lambda: media_copying.clock.advance(15))

        media_copying.work()

        assert media(media_copying)[0]["problem"] == "copy_failed"
        assert "FetchMedia" not in operations(media_copying)

    def test_the_media_of_one_company_do_not_take_the_others_time(self):
        """What is left of an invocation is shared by the batches that are left in it."""
        phones = [f"+49151000000{number}" for number in range(4)]
        rows = [
            conversation(conversation_id=phone, primary_channel=phone, gsi_recipient_tel=phone, company_id=phone)
            for phone in phones
        ]
        world = World(None, *rows, **ON)
        for phone in phones:
            world.deliver(From=f"whatsapp:{phone}", **world.with_media(PICTURE))
        slow = list(world.media.files)[:2]
        fetch = world.media.fetch

        def silent(url: str, secret: str, *, refuse: Any, deadline: Deadline) -> Any:
            if url in slow:
                world.clock.advance(deadline.seconds_left)
                return NotFetched("too slow")
            return fetch(url, secret, refuse=refuse, deadline=deadline)

        world.media.fetch = silent
        world.clock.advance(11)
        messages = world.queues.triggers["whatsapp"].receive()

        world.invoke("whatsapp", [one.body for one in messages])

        assert counted(world) == ["copy_failed", "copy_failed", "copied", "copied"]

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.MISCONFIGURED])
    def test_without_the_secret_the_batch_goes_out_without_copies(self, media_copying: World, fault: Fault):
        """The world's fault or ours: told, and in nobody's way."""
        due(media_copying, PICTURE)
        media_copying.clock.advance(media_copying.settings.secret_ttl_seconds)
        media_copying.plan.faults = {len(media_copying.plan.calls) + FETCH: fault}

        media_copying.work()

        assert media(media_copying)[0]["problem"] == "copy_failed"
        assert operations(media_copying).count("GetSecretValue") == 2

    def test_media_are_copied_with_the_rotated_secret_though_the_cache_has_the_old_one(self, media_copying: World):
        """The secret is read again at once, for the first medium; the others are fetched with what was read."""
        due(media_copying, PICTURE, SOUND)
        media_copying.rotate()

        media_copying.work()

        assert counted(media_copying) == ["copied", "copied"]
        assert operations(media_copying).count("FetchMedia") == 3
        assert operations(media_copying).count("GetSecretValue") == 2

    def test_a_secret_that_is_refused_and_not_rotated_costs_one_read_a_minute(self, media_copying: World):
        """A suspended account: a medium is fetched once more only with another secret."""
        due(media_copying, PICTURE, SOUND)
        media_copying.media.refused_secrets.update(media_copying.secrets.texts.values())

        media_copying.work()

        assert counted(media_copying) == ["copy_failed", "copy_failed"]
        assert operations(media_copying).count("FetchMedia") == 2
        assert operations(media_copying).count("GetSecretValue") == 2

    def test_no_second_fetch_begins_after_the_time_for_copying(self, media_copying: World):
        """The batch goes out in time, without its copy; the next copy reads the secret again."""
        due(media_copying, PICTURE)
        media_copying.rotate()
        media_copying.plan.interleave(
            len(media_copying.plan.calls) + FETCH,
            lambda: media_copying.clock.advance(media_copying.settings.media_copying_seconds),
        )

        media_copying.work()

        later = Deadline.after(media_copying.clock, 1)
        assert counted(media_copying) == ["copy_failed"]
        assert operations(media_copying).count("FetchMedia") == 1
        assert media_copying.engine.credentials.get(SECRET_REF, later) == media_copying.secrets.texts[SECRET_REF]

    def test_a_conversation_that_names_no_secret_any_more_is_dispatched_all_the_same(self):
        """As above; the company took the name away after the message was received."""
        world = World(None, **ON)
        due(world, PICTURE)
        world.tables.conversations.seed({**world.row, "channel_config": {}})

        world.work()

        assert media(world)[0]["problem"] == "copy_failed"

    @pytest.mark.parametrize("call", [FETCH, PUT])
    @pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
    def test_a_crash_while_copying_is_taken_up_by_the_trigger(self, media_copying: World, call: int, fault: Fault):
        """Nothing is locked yet: it begins anew, and what nothing names expires."""
        sid = due(media_copying, PICTURE)
        media_copying.plan.faults = {len(media_copying.plan.calls) + call: fault}
        media_copying.work()
        media_copying.clock.advance(181)

        media_copying.work()

        (one,) = media(media_copying)
        assert one["url"].removeprefix("s3://attachments/") in media_copying.bucket.objects
        assert media_copying.entry_ids == [sid]


def test_each_company_s_media_go_into_its_own_folder():
    """Its readers have the right to that one alone."""
    world = World(
        None,
        conversation(company_id="acme/x", channel_config={"whatsapp": {"credential_ref": SECRET_REF}}),
        **ON,
    )
    due(world, PICTURE)

    world.work()

    assert all(key.startswith("acme%2Fx/") for key in world.bucket.objects)
