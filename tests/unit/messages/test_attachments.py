"""What came with a message is kept before the message is staged, whichever calls in between fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.handlers import webhooks
from chalicelib.messages.attachments import WHOLE_TEXT, folder_of
from chalicelib.messages.inbound import Address, AddressKind, Attachment, InboundMessage
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Fault, FaultPlan
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, World, conversation

PDF = Attachment(b"%PDF", "application/pdf", "März.pdf")
PICTURE = Attachment(b"\x89PNG", "image/png")
PROGRAM = Attachment(b"MZ", "application/x-msdownload", "run.exe", problem="type_not_allowed")
ALL_OF_IT = Attachment(b"all of a long text", "text/plain; charset=utf-8")

# The calls of one such message, in order.
LOOK, PUT, NEXT_PUT, PUT_TEXT, STAGE = 4, 5, 6, 7, 8


class Post:
    """A provider whose requests bring the contents of what they enclose."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def parse(self, request: WebhookRequest) -> Sequence[InboundMessage]:
        message = InboundMessage(
            message_sid=request.body.decode(),
            channel="whatsapp",
            account_id=ACCOUNT_SID,
            sender=Address(AddressKind.PHONE, CUSTOMER),
            recipient=Address(AddressKind.PHONE, COMPANY),
            body="see what I send",
            received_at=self._clock.now(),
            attachments=(PDF, PROGRAM, PICTURE),
            whole=ALL_OF_IT,
        )
        return (message,)

    def bears_proof(self, headers: Mapping[str, str], url_token: str) -> bool:
        return True

    def is_genuine(self, request: WebhookRequest, account_id: str, secret: str) -> bool:
        return True


def post(world: World, sid: str = "mail-1") -> int:
    """One request of that provider; the status that it is answered."""
    world.engine._receiving[Vendor.SENDGRID] = world.engine._receiving_of(Post(world.clock))
    request = world._request(sid, AUTH_TOKEN, "/webhooks/email")
    return webhooks.receive_message(request, Vendor.SENDGRID, world.engine).status_code


def staged(world: World) -> dict:
    """The one staged message as its context tells it."""
    (row,) = world.tables.stage.rows
    (message,) = row["context_object"]["messages"]
    return message


def kept_urls(world: World) -> list[str]:
    return [f"s3://attachments/{key}" for key in world.bucket.objects]


@pytest.fixture
def world() -> World:
    return World()


class TestWhatIsKept:
    def test_a_message_names_what_is_kept_of_it(self, world: World):
        """Content in the bucket, the rest in the context: where, what, how large, and why not."""
        status = post(world)

        pdf, program, picture = staged(world)["media"]
        folder = pdf["url"].removesuffix("/1")
        assert status == 200
        assert (pdf["content_type"], pdf["filename"], pdf["size_bytes"]) == ("application/pdf", "März.pdf", 4)
        assert program == {
            "url": "",
            "content_type": "application/x-msdownload",
            "filename": "run.exe",
            "size_bytes": 2,
            "problem": "type_not_allowed",
        }
        assert picture["url"] == f"{folder}/3"
        assert staged(world)["extras"][WHOLE_TEXT] == f"{folder}/text"
        assert list(world.bucket.objects.values()) == [
            (b"%PDF", "application/pdf", "März.pdf"),
            (b"\x89PNG", "image/png", None),
            (b"all of a long text", "text/plain; charset=utf-8", None),
        ]

    def test_nobody_can_guess_where_and_the_company_is_told_by_the_first_folder(self, world: World):
        """Each message has a folder of its own, of 32 hexadecimal digits; nothing tells who wrote."""
        post(world, "mail-1")
        post(world, "mail-2")

        folders = {key.rpartition("/")[0] for key in world.bucket.objects}
        assert len(folders) == 2
        for folder in folders:
            tenant, unguessable = folder.split("/")
            assert (tenant, len(unguessable), set(unguessable) <= set("0123456789abcdef")) == ("acme", 32, True)

    @pytest.mark.parametrize("other", ["a-b", "a%2Fb", "a", "a*", "A/b"])
    def test_no_company_s_folder_is_another_s(self, other: str):
        """Each company's readers have the right to its own folder, whatever its id is."""
        mine, theirs = folder_of("a/b", "x"), folder_of(other, "x")

        assert mine.count("/") == theirs.count("/") == 1
        assert mine.split("/")[0] != theirs.split("/")[0]
        assert not set("*?$") & set(mine + theirs)


class TestFaults:
    @pytest.mark.parametrize("call", [PUT, NEXT_PUT, PUT_TEXT])
    @pytest.mark.parametrize(
        ("fault", "status"),
        [(Fault.THROTTLED, 503), (Fault.UNREACHABLE, 503), (Fault.LOST_ANSWER, 503), (Fault.MISCONFIGURED, 500)],
    )
    def test_where_anything_is_not_kept_nothing_is_staged(self, world: World, call: int, fault: Fault, status: int):
        """The provider is asked to come again, or we are told to mend it; it retries on either."""
        world.plan.faults = {call: fault}

        answered = post(world)

        assert answered == status
        assert world.staged_ids == []

    @pytest.mark.parametrize("call", [LOOK, PUT, NEXT_PUT, PUT_TEXT, STAGE])
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER, Fault.REFUSED_BY_OWN_WRITE])
    def test_the_provider_s_retry_stages_it_once_with_all_that_it_names(self, world: World, call: int, fault: Fault):
        """A staged row names only objects that are there."""
        world.plan.faults = {call: fault}
        post(world)

        answered = post(world)

        named = [one["url"] for one in staged(world)["media"] if "problem" not in one]
        assert answered == 200
        assert {*named, staged(world)["extras"][WHOLE_TEXT]} <= set(kept_urls(world))

    @pytest.mark.parametrize("call", [PUT, NEXT_PUT, PUT_TEXT, STAGE])
    @pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
    def test_a_crash_between_keeping_and_staging_loses_nothing(self, world: World, call: int, fault: Fault):
        """What no row names goes with the bucket's own expiry."""
        world.plan.faults = {call: fault}
        with world.process():
            post(world)

        answered = post(world)

        named = [one["url"] for one in staged(world)["media"] if "problem" not in one]
        assert answered == 200
        assert set(named) <= set(kept_urls(world))

    def test_a_retry_of_what_is_staged_keeps_nothing_twice(self, world: World):
        """Its row is found before anything is put."""
        post(world)
        before, kept = len(world.plan.calls), dict(world.bucket.objects)

        answered = post(world)

        assert answered == 200
        assert world.bucket.objects == kept
        assert "PutObject" not in [call.operation for call in world.plan.calls[before:]]

    def test_past_the_deadline_nothing_more_is_put(self, world: World):
        """And nothing is staged: the provider comes again."""
        world.plan.interleave(PUT, lambda: world.clock.advance(3))

        answered = post(world)

        assert answered == 503
        assert [call.operation for call in world.plan.calls[PUT - 1 :]] == ["PutObject"]
        assert world.staged_ids == []

    def test_a_refused_message_keeps_nothing(self):
        """The conversation's rules come first."""
        world = World(FaultPlan(), conversation(project_status="closed"))

        post(world)

        assert world.bucket.objects == {}
