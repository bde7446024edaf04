"""What the engine learns when a put to S3 fails, is slow, or is not yet possible."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.s3 import S3Bucket
from chalicelib.clock import Deadline, SystemClock
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.wire import Answer, Wire
from tests.world import ENVIRONMENT

NAME = "bucket-{account}"
URL = "https://example.test"
KEPT = Answer(200, xml="")
WHO = Answer(
    200,
    xml='<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
)


def failed(status: int, code: str) -> Answer:
    return Answer(status, xml=f"<Error><Code>{code}</Code><Message>what S3 says</Message></Error>")


def set_credentials(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture(scope="module")
def clients() -> Clients:
    with pytest.MonkeyPatch.context() as patch:
        set_credentials(patch)
        return Clients(Settings.from_environment(ENVIRONMENT))


def bucket_of(clients: Clients, name: str = NAME, *, upload_seconds: float = 30) -> S3Bucket:
    def service(called: str) -> Service:
        return Service(clients.of(called), Code.STAGE_WRITE_ERROR, Code.CONFIGURATION_ERROR)

    return S3Bucket(lambda: service("s3"), lambda: service("sts"), name, SystemClock(), upload_seconds)


@pytest.fixture
def bucket(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    set_credentials(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return bucket_of(clients)


def put(bucket: S3Bucket, content: bytes = b"content") -> str:
    return bucket.put("acme/folder/1", content, content_type="text/plain", filename="a.txt")


@pytest.mark.parametrize(
    ("filename", "told"),
    [(None, "attachment"), ("", "attachment; filename*=UTF-8''"), ("ä.svg", "attachment; filename*=UTF-8''%C3%A4.svg")],
)
def test_whoever_opens_an_object_saves_it(bucket: S3Bucket, clients: Clients, filename: str | None, told: str):
    """With a name or without: a browser that follows a URL of ours runs nothing that a sender wrote."""
    Wire(clients.of("sts"), WHO)
    storage = Wire(clients.of("s3"), KEPT)

    bucket.put("acme/folder/1", b"<svg/>", content_type="image/svg+xml", filename=filename)

    assert storage.headers[0]["content-disposition"] == told


class TestNames:
    def test_a_name_is_completed_by_the_account_which_is_asked_once(self, bucket: S3Bucket, clients: Clients):
        """Copies for other deadlines know it too."""
        identity, storage = Wire(clients.of("sts"), WHO), Wire(clients.of("s3"), KEPT, KEPT)

        urls = [put(bucket.within(Deadline.after(FakeClock(), 9))), put(bucket)]

        assert urls == ["s3://bucket-123456789012/acme/folder/1"] * 2
        assert (len(identity.contents), len(storage.contents)) == (1, 2)

    def test_a_bucket_of_that_name_in_another_s_account_gets_nothing(self, bucket: S3Bucket, clients: Clients):
        """S3 compares the owner with the one that is expected."""
        Wire(clients.of("sts"), WHO)
        storage = Wire(clients.of("s3"), failed(403, "AccessDenied"))

        with pytest.raises(Misconfigured) as told:
            put(bucket)

        assert storage.headers[0]["x-amz-expected-bucket-owner"] == "123456789012"
        assert (told.value.code, told.value.detail) == (
            Code.CONFIGURATION_ERROR,
            "PutObject bucket-123456789012: AccessDenied",
        )

    def test_a_complete_name_needs_no_question_and_may_be_another_account_s(self, bucket: S3Bucket, clients: Clients):
        """Whoever names a bucket wholly means that one."""
        identity, storage = Wire(clients.of("sts")), Wire(clients.of("s3"), KEPT)

        url = put(replace(bucket, name="archive"))

        assert url == "s3://archive/acme/folder/1"
        assert identity.contents == []
        assert "x-amz-expected-bucket-owner" not in storage.headers[0]

    def test_a_question_without_an_answer_kept_nothing(self, bucket: S3Bucket, clients: Clients):
        """The account is not known, so no object was sent anywhere."""
        lost = ReadTimeoutError(endpoint_url=URL)
        Wire(clients.of("sts"), lost, lost)
        storage = Wire(clients.of("s3"))

        with pytest.raises(TryAgain) as told:
            put(bucket)

        assert (told.value.code, told.value.maybe_applied) == (Code.STAGE_WRITE_ERROR, False)
        assert storage.contents == []


class TestFaults:
    @pytest.mark.parametrize(
        ("answers", "may_be_kept"),
        [
            ([failed(503, "SlowDown")] * 2, False),
            ([EndpointConnectionError(endpoint_url=URL)] * 2, False),
            ([failed(500, "InternalError"), failed(503, "SlowDown")], True),
            ([failed(400, "RequestTimeout")] * 2, True),
            ([ReadTimeoutError(endpoint_url=URL)] * 2, True),
        ],
        ids=["throttled", "unreachable", "throttled after a doubt", "too slow for S3", "answer lost"],
    )
    def test_what_may_pass_is_to_be_tried_again(
        self, bucket: S3Bucket, clients: Clients, answers: list, may_be_kept: bool
    ):
        """The provider comes again: nothing is staged yet."""
        Wire(clients.of("s3"), *answers)

        with pytest.raises(TryAgain) as told:
            put(replace(bucket, name="archive"))

        assert (told.value.code, told.value.maybe_applied) == (Code.STAGE_WRITE_ERROR, may_be_kept)
        assert "archive" in told.value.detail

    def test_a_second_try_sends_the_whole_content_again(self, bucket: S3Bucket, clients: Clients):
        """What the first one read is read anew."""
        storage = Wire(clients.of("s3"), failed(503, "SlowDown"), KEPT)

        put(replace(bucket, name="archive"), b"all of it")

        assert storage.contents == [b"all of it"] * 2
        assert {one["content-length"] for one in storage.headers} == {"9"}

    def test_the_content_is_signed(self, bucket: S3Bucket, clients: Clients):
        """S3 refuses an object that was damaged on its way."""
        storage = Wire(clients.of("s3"), KEPT)

        put(replace(bucket, name="archive"), b"")

        nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        assert storage.headers[0]["x-amz-content-sha256"] == nothing


@pytest.fixture
def trickle() -> Iterator[str]:
    """A server that reads what it is sent without haste and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def read_slowly(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (received := connection.recv(65_536)) and not is_over.wait(0.02):
                if b"100-continue" in received:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=read_slowly, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    is_over.set()
    listening.close()


def test_a_trickling_network_does_not_prolong_an_upload(monkeypatch: pytest.MonkeyPatch, trickle: str):
    """The timeouts of botocore bound each step and no upload; ours bounds all tries of it together."""
    set_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", trickle)
    clients = Clients(Settings.from_environment({**ENVIRONMENT, "AWS_CONNECT_TIMEOUT_SECONDS": "5"}))
    bucket = bucket_of(clients, "archive", upload_seconds=0.5)
    bucket.service()
    began = time.monotonic()

    with pytest.raises(TryAgain) as told:
        put(bucket, bytes(16_000_000))

    assert told.value.maybe_applied
    assert time.monotonic() - began < 15, "as slow as the network"
