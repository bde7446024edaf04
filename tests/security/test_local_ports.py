"""No web page in the developer's browser can use a port of the local run. Chromium itself tries in `tests/browser`."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import credentials_file
from local.aws.clients import LocalAws
from local.aws.ministack import NotInstalledError, local_aws
from local.guard.http import guard, hosts_with
from local.guard.rules import bears_key, refusal
from local.processes import ports
from local.processes.environment import HOST, REGION
from local.stubs.twilio import TwilioStub

OF_BROWSERS = [
    pytest.param({"Origin": "https://evil.example"}, id="a page that writes"),
    pytest.param({"Origin": "null"}, id="a sandboxed frame"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="an image or a script"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, id="a page of another local port"),
    pytest.param({"Sec-Fetch-Site": "none"}, id="a typed address"),
    pytest.param({"Host": "evil.example"}, id="a rebound name"),
    pytest.param({"Host": "127.0.0.1.evil.example:4566"}, id="a name that begins like ours"),
    pytest.param({"Host": "127.0.0.1@evil.example"}, id="a name behind ours"),
    pytest.param({"Host": ""}, id="no name"),
]


def ask(
    port: int, headers: Mapping[str, str], *, method: str = "GET", path: str = "/"
) -> tuple[int, Mapping[str, str]]:
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path, headers={"Host": f"{HOST}:{port}", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    try:
        with local_aws(ports.free(1)[0], shell=os.environ) as made:
            yield made
    except NotInstalledError as missing:
        pytest.skip(missing.message)


def port_of(aws: LocalAws) -> int:
    return int(aws.endpoint.rpartition(":")[2])


def signed(aws: LocalAws) -> dict[str, str]:
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={aws.access_key}/20260101/{REGION}/sqs/aws4_request"}


class TestTheLocalAws:
    @pytest.mark.parametrize("headers", OF_BROWSERS)
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    def test_what_a_browser_sends_is_refused_and_no_origin_is_allowed(self, aws, method, headers):
        """Even with the key of the start, on every method: a preflight gets no permission."""
        status, answered = ask(port_of(aws), {**signed(aws), **headers}, method=method, path="/_ministack/health")

        assert status == 403
        assert not [name for name in answered if name.lower().startswith("access-control-")]

    @pytest.mark.parametrize("path", ["/", "/_ministack/health", "/_ministack/reset", "/any-bucket"])
    def test_what_bears_no_key_is_refused(self, aws, path):
        """Its own interface included: a reset would empty it."""
        status, _ = ask(port_of(aws), {}, method="POST", path=path)

        assert status == 403

    @pytest.mark.parametrize("key", ["local", "test", ""])
    def test_a_key_that_somebody_could_guess_is_refused(self, aws, key):
        """Secrets are read by whoever knows the key alone."""
        client = boto3.client(
            "secretsmanager",
            endpoint_url=aws.endpoint,
            region_name=REGION,
            aws_access_key_id=key or "x",
            aws_secret_access_key=key or "x",
            config=Config(retries={"total_max_attempts": 1}),
        )

        with pytest.raises(ClientError) as refused:
            client.list_secrets()

        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    def test_the_programs_of_the_start_use_it(self, aws):
        """Or the other tests would show nothing."""
        aws.secrets.create_secret(Name="kept", SecretString="word")

        assert aws.secrets.get_secret_value(SecretId="kept")["SecretString"] == "word"

    def test_each_start_has_a_key_of_its_own(self, aws):
        """And does not show it where it is printed."""
        with local_aws(ports.free(1)[0], shell=os.environ) as other:
            keys = {aws.access_key, other.access_key}

        assert len(keys) == 2
        assert not [key for key in keys if key in repr(aws) + repr(other)]


class TestTheOtherPorts:
    @pytest.mark.parametrize("headers", OF_BROWSERS)
    def test_a_stub_refuses_what_a_browser_sends(self, headers):
        """Its ledger holds what the company's customers were sent."""
        with TwilioStub({}) as stub:
            status, answered = ask(int(stub.url.rpartition(":")[2]), headers, path="/_stand-in/deliveries")

        assert status == 403
        assert not [name for name in answered if name.lower().startswith("access-control-")]

    def test_a_stub_answers_a_program(self):
        """As the demo asks it."""
        with TwilioStub({}) as stub:
            status, _ = ask(int(stub.url.rpartition(":")[2]), {}, path="/_stand-in/deliveries")

        assert status == 200

    @pytest.mark.parametrize(
        ("public_base_url", "host", "status"),
        [
            ("https://abc.tunnel.example/", "abc.tunnel.example", 200),
            ("https://abc.tunnel.example/", "evil.example", 403),
            ("", "abc.tunnel.example", 403),
            ("", "localhost:8000", 200),
        ],
    )
    def test_the_app_answers_to_the_tunnel_that_its_settings_name(self, public_base_url, host, status):
        """A tunnel passes the public name on; another name is a page's."""
        with guarded_server(public_base_url) as port:
            assert ask(port, {"Host": host})[0] == status


def guarded_server(public_base_url: str):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    guard(Handler, hosts_with(public_base_url))
    return Serving(Handler)


class Serving:
    """A server of one handler for as long as the block lasts."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]):
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_the_key_stands_in_a_file_that_only_its_user_reads(tmp_path):
    """And is gone with the run."""
    aws = LocalAws("http://127.0.0.1:4599", "key-of-this-start")

    with credentials_file.written(aws, tmp_path / "keys") as file:
        modes = [stat.S_IMODE(one.stat().st_mode) for one in (file, file.parent)]
        read = credentials_file.read(4599, tmp_path / "keys")

    assert modes == [0o600, 0o700]
    assert read == aws
    assert not file.exists()


def test_without_a_running_local_aws_no_key_of_the_shell_is_used(tmp_path, monkeypatch):
    """A real account's key never signs a request to a port of this machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")

    assert credentials_file.read(4599, tmp_path).access_key == "none"


def test_the_committed_stage_holds_no_key():
    """The stage `local` of `chalice local` reads the file of the run beside it."""
    environment = json.loads((credentials_file.PROJECT / ".chalice" / "config.json").read_text())["stages"]["local"][
        "environment_variables"
    ]

    assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == ""
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == str(
        credentials_file.path(4566).relative_to(credentials_file.PROJECT)
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:4566", "LOCALHOST", "[::1]:80"])
def test_every_spelling_of_this_machine_is_answered(host):
    """With any port."""
    assert refusal({"host": host}) is None


def test_a_presigned_url_bears_the_key_in_its_query():
    """Which a header does otherwise."""
    query = f"X-Amz-Credential=abc%2F20260101%2F{REGION}%2Fs3%2Faws4_request"

    assert bears_key({}, query, "abc")
    assert not bears_key({}, query, "abcd")
