"""The stub for Twilio's API does what Twilio does, as far as the engine can see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest
import requests
from twilio.request_validator import RequestValidator

from local.stubs.phones import Phones
from local.stubs.status_callbacks import send_id_of
from local.stubs.twilio import Account, Fault, Kind, TwilioStub, segments

ACCOUNT = Account("AC" + "a" * 32, "token-a", api_key="SK1", api_secret="secret", secondary_auth_token="token-c")
OTHER = Account("AC" + "b" * 32, "token-b")
FORM = {"To": "+447700900111", "From": "+447700900100", "Body": "Hello"}


@dataclass
class Receiver:
    """Takes status callbacks on the loopback interface."""

    url: str
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The signature and the form of each."""

    @property
    def statuses(self) -> list[str]:
        """The statuses that were told, in order."""
        return [form["MessageStatus"] for _, form in self.requests]


@pytest.fixture
def twilio() -> Iterator[TwilioStub]:
    with TwilioStub([ACCOUNT, OTHER]) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class LogReader(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
            heard.requests.append((self.headers["X-Twilio-Signature"], form))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), LogReader) as server:
        heard = Receiver(f"http://127.0.0.1:{server.server_address[1]}/webhooks/twilio/status/0123?a=1")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def post(twilio: TwilioStub, *, auth=(ACCOUNT.sid, "token-a"), account=ACCOUNT.sid, **form: str) -> requests.Response:
    url = f"{twilio.url}/2010-04-01/Accounts/{account}/Messages.json"
    return requests.post(url, data={**FORM, **form}, auth=auth, timeout=5)


def show_typing(twilio: TwilioStub, *, auth=(ACCOUNT.sid, "token-a"), **form: str) -> requests.Response:
    told = {"messageId": "SM" + "1" * 32, "channel": "whatsapp", **form}
    return requests.post(f"{twilio.url}/v2/Indicators/Typing.json", data=told, auth=auth, timeout=5)


def get(twilio: TwilioStub, path: str, *, auth=(ACCOUNT.sid, "token-a")) -> requests.Response:
    return requests.get(f"{twilio.url}{path}", auth=auth, timeout=5)


@pytest.mark.parametrize(
    "auth",
    [(ACCOUNT.sid, "token-a"), (ACCOUNT.sid, "token-c"), ("SK1", "secret")],
    ids=["primary token", "secondary token", "key"],
)
def test_the_accounts_tokens_and_its_key_are_let_in(twilio, auth):
    """Basic auth, as Twilio takes it."""
    status = post(twilio, auth=auth).status_code

    assert status == 201
    assert len(twilio.messages) == 1


@pytest.mark.parametrize(
    ("auth", "account"),
    [
        (None, ACCOUNT.sid),
        ((ACCOUNT.sid, "wrong"), ACCOUNT.sid),
        ((ACCOUNT.sid, ""), ACCOUNT.sid),
        ((OTHER.sid, "token-b"), ACCOUNT.sid),
        ((OTHER.sid, "None"), OTHER.sid),
        ((ACCOUNT.sid, "token-a"), "AC" + "c" * 32),
    ],
    ids=["nothing", "wrong token", "blank token", "another's account", "a key that it has not", "unknown account"],
)
def test_nobody_else_is(twilio, auth, account):
    """Twilio's error 20003, and nothing is taken."""
    answer = post(twilio, auth=auth, account=account)

    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert twilio.messages == []


def test_a_message_bears_twilios_fields(twilio):
    """As the official library and whoever reads the API's documentation expect them."""
    document = post(twilio).json()

    assert document["sid"].startswith("SM")
    assert len(document["sid"]) == 34
    assert parsedate_to_datetime(document["date_created"]).tzinfo is not None
    assert {name: document[name] for name in ("direction", "status", "num_segments", "num_media", "account_sid")} == {
        "direction": "outbound-api",
        "status": "queued",
        "num_segments": "1",
        "num_media": "0",
        "account_sid": ACCOUNT.sid,
    }


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": "nobody"}, 21211),
        ({"To": ""}, 21211),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1_601}, 21617),
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code(twilio, form, code):
    """An error of Twilio's shape, and nothing is taken."""
    answer = post(twilio, **form)

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert twilio.messages == []


def test_a_fault_applies_to_the_next_message_that_it_fits_and_no_other(twilio):
    """A fault for one recipient waits for that one."""
    twilio.fail_next(Fault(kind=Kind.TOO_MANY, retry_after_seconds=3, to="+447700900222"))

    answers = [post(twilio, To=to) for to in ("+447700900111", "+447700900222", "+447700900222")]

    assert [answer.status_code for answer in answers] == [201, 429, 201]
    assert answers[1].headers["Retry-After"] == "3"
    assert answers[1].json()["code"] == 20429


def test_a_message_is_fetched_by_its_account_alone(twilio):
    """To another it does not exist."""
    sid = post(twilio).json()["sid"]

    answers = [
        get(twilio, f"/2010-04-01/Accounts/{one.sid}/Messages/{sid}.json", auth=(one.sid, one.auth_token))
        for one in (ACCOUNT, OTHER)
    ]

    assert [answer.status_code for answer in answers] == [200, 404]
    assert answers[0].json()["sid"] == sid
    assert answers[1].json()["code"] == 20404


def test_a_list_comes_in_pages_the_newest_first(twilio):
    """Each page tells where the next is; those of another recipient or account are not in it."""
    wanted = [post(twilio, Body=str(number)).json()["sid"] for number in range(5)]
    post(twilio, To="+447700900222")
    post(twilio, auth=(OTHER.sid, "token-b"), account=OTHER.sid)
    path = f"/2010-04-01/Accounts/{ACCOUNT.sid}/Messages.json?To=%2B447700900111&PageSize=2"
    pages = []

    while path:
        pages.append(get(twilio, path).json())
        path = pages[-1]["next_page_uri"]

    assert [one["sid"] for page in pages for one in page["messages"]] == wanted[::-1]
    assert [(page["page"], page["start"], page["end"], page["page_size"]) for page in pages] == [
        (0, 0, 1, 2),
        (1, 2, 3, 2),
        (2, 4, 4, 2),
    ]


def test_status_callbacks_are_signed_with_the_accounts_token(twilio, receiver):
    """Twilio's own validator takes them, over the URL with its query and every parameter."""
    sid = post(twilio, StatusCallback=receiver.url).json()["sid"]

    is_all_told = twilio.wait_until_told()

    assert is_all_told
    assert receiver.statuses == ["queued", "sent", "delivered"]
    assert {form["MessageSid"] for _, form in receiver.requests} == {sid}
    validator = RequestValidator(ACCOUNT.auth_token)
    assert all(validator.validate(receiver.url, form, signature) for signature, form in receiver.requests)


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        (("delivered", "sent", "queued"), "delivered"),
        (("queued", "queued", "sent", "sent"), "sent"),
        (("queued", "undelivered"), "undelivered"),
        ((), "queued"),
    ],
    ids=["out of order", "twice", "not delivered", "silence"],
)
def test_statuses_are_told_in_the_order_that_is_asked_for(twilio, receiver, statuses, end):
    """Out of order, twice, to a bad end, or not at all; the message itself has the status that it came furthest to."""
    twilio.fail_next(Fault(statuses=statuses, error_code="30005"))

    post(twilio, StatusCallback=receiver.url)

    assert twilio.wait_until_told()
    assert receiver.statuses == list(statuses)
    codes = [form.get("ErrorCode") for _, form in receiver.requests]
    assert codes == ["30005" if status == "undelivered" else None for status in statuses]
    assert twilio.messages[0].status == end
    assert twilio.messages[0].callbacks == tuple((status, 204) for status in statuses)


@pytest.mark.parametrize(
    ("to", "end"), [("whatsapp:+447700900111", ["delivered", "read"]), ("+447700900111", ["delivered"])]
)
def test_customers_read_what_they_get_by_whatsapp_where_they_read_at_all(receiver, to, end):
    with TwilioStub([ACCOUNT], read_seconds=0.0) as twilio:
        sender = "whatsapp:+447700900100" if to.startswith("whatsapp") else "+447700900100"
        post(twilio, To=to, From=sender, StatusCallback=receiver.url)

        assert twilio.wait_until_told()

    assert receiver.statuses == ["queued", "sent", *end]


def test_what_was_not_delivered_is_on_no_phone(twilio):
    """The ledger keeps it, and the phone does not show it."""
    twilio.fail_next(Fault(statuses=("failed",), error_code="30008"))
    post(twilio, Body="lost on its way")
    post(twilio, Body="there")
    twilio.wait_until_told()

    shown = Phones(twilio.url).deliveries()

    assert [one["body"] for one in shown] == ["there"]
    assert [one.error_code for one in twilio.messages] == ["30008", None]


def test_faults_are_set_over_http_as_in_the_process(twilio):
    """What the demo and a reader's curl do."""
    Phones(twilio.url).fail_next(Fault(kind=Kind.REFUSE, code=63016, to="+447700900111"))

    answer = post(twilio)

    assert answer.json()["code"] == 63016


@pytest.mark.parametrize("body", ['{"kind": "earthquake"}', '{"statuses": ["lost"]}', '{"what": 1}', "{", "[]"])
def test_a_fault_that_does_not_exist_is_refused(twilio, body):
    """A typing error is reported, and no request fails."""
    answer = requests.post(f"{twilio.url}/_stand-in/faults", data=body, timeout=5)

    assert answer.status_code == 400
    assert post(twilio).status_code == 201


@pytest.mark.parametrize(
    ("body", "count"), [("", 1), ("x" * 160, 1), ("x" * 161, 2), ("я" * 70, 1), ("я" * 71, 2), ("x" * 1_600, 11)]
)
def test_a_long_text_is_several_segments(body, count):
    """What the customer's company pays for."""
    told = segments(body)

    assert told == count


class TestTyping:
    """The typing indicator of a WhatsApp message."""

    def test_it_is_shown_for_an_account_s_credentials(self, twilio):
        """As Twilio's library asks for it."""
        answer = show_typing(twilio)

        assert (answer.status_code, answer.json()) == (200, {"success": True})

    @pytest.mark.parametrize(
        ("auth", "form", "code"),
        [
            ((ACCOUNT.sid, "wrong"), {}, 20003),
            (None, {}, 20003),
            ((ACCOUNT.sid, "token-a"), {"channel": "sms"}, 20404),
            ((ACCOUNT.sid, "token-a"), {"messageId": ""}, 20404),
        ],
        ids=["a wrong token", "nobody", "another channel", "no message"],
    )
    def test_it_is_refused_as_twilio_would(self, twilio, auth, form, code):
        """Under Twilio's own code."""
        assert show_typing(twilio, auth=auth, **form).json()["code"] == code

    @pytest.mark.parametrize(("kind", "status"), [(Kind.TOO_MANY, 429), (Kind.SERVER_ERROR, 503)])
    def test_a_fault_that_was_ordered_for_it_happens_to_it_alone(self, twilio, kind, status):
        """A message in between is taken; a fault of messages is not used up by an indicator."""
        twilio.fail_next(Fault(kind=kind, is_of_typing=True))
        twilio.fail_next(Fault(kind=Kind.REFUSE, code=21610, to="+447700900222"))

        answers = [post(twilio).status_code, show_typing(twilio).status_code, show_typing(twilio).status_code]

        assert answers == [201, status, 200]

    def test_its_answer_can_be_lost(self, twilio):
        """The connection ends."""
        twilio.fail_next(Fault(kind=Kind.LOST, is_of_typing=True))

        with pytest.raises(requests.ConnectionError):
            show_typing(twilio)


@pytest.mark.parametrize(
    ("fragment", "tries"), [("#rc=3&rp=all", 4), ("#rc=1&rp=all", 2), ("", 1)], ids=["three more", "one more", "none"]
)
def test_a_callback_that_is_refused_is_repeated_as_its_url_asks(twilio, fragment, tries):
    """Under the same signature, until it is taken."""
    heard: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(self.headers["X-Twilio-Signature"])
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        twilio.fail_next(Fault(statuses=("sent",)))
        post(twilio, StatusCallback=f"http://127.0.0.1:{server.server_address[1]}/status{fragment}")
        twilio.wait_until_told()
        server.shutdown()
        thread.join()

    assert len(heard) == tries
    assert len(set(heard)) == 1


@pytest.mark.parametrize(
    ("url", "send_id"),
    [
        ("https://hooks.example/webhooks/twilio/status/s-1", "s-1"),
        ("https://hooks.example/webhooks/twilio/status/s-1#rc=3&rp=all", "s-1"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_callback_s_url_names_the_part_whatever_it_says_of_retries(url: str | None, send_id: str):
    """What counts deliveries finds the part by it."""
    assert send_id_of(url) == send_id
