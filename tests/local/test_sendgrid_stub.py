"""The stub for SendGrid's API does what SendGrid does, as far as the engine can see it."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
import requests

from local.stubs.mailboxes import Mailboxes
from local.stubs.sendgrid import Account, Fault, Kind, SendGridStub

KEY, OTHER_KEY, KEY_WITHOUT_ACTIVITY = "SG.a", "SG.b", "SG.c"
MAIL = {
    "personalizations": [{"to": [{"email": "ann@example.net"}]}],
    "from": {"email": "help@acme.example"},
    "subject": "Re: Hello",
    "content": [{"type": "text/plain", "value": "Hello Ann"}],
}


@pytest.fixture
def sendgrid() -> Iterator[SendGridStub]:
    accounts = [
        Account(KEY, frozenset({"help@acme.example"})),
        Account(OTHER_KEY),
        Account(KEY_WITHOUT_ACTIVITY, has_activity=False),
    ]
    with SendGridStub(accounts) as running:
        yield running


def post(sendgrid: SendGridStub, *, key: str = KEY, **changes: object) -> requests.Response:
    document = {name: value for name, value in {**MAIL, **changes}.items() if value is not None}
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{sendgrid.url}/v3/mail/send", json=document, headers=headers, timeout=5)


def activity(sendgrid: SendGridStub, query: str, *, key: str = KEY) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(f"{sendgrid.url}/v3/messages", params={"query": query}, headers=headers, timeout=5)


def test_an_e_mail_is_answered_202_without_a_body_and_named_in_a_header(sendgrid):
    """What SendGrid queues it does not describe."""
    answer = post(sendgrid, headers={"In-Reply-To": "<a@b>"}, custom_args={"send_id": "1"})

    (taken,) = sendgrid.mails
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["X-Message-Id"] == taken.id
    assert (taken.subject, taken.text, taken.headers, taken.custom_args) == (
        "Re: Hello",
        "Hello Ann",
        {"In-Reply-To": "<a@b>"},
        {"send_id": "1"},
    )


@pytest.mark.parametrize("authorization", [None, "Bearer SG.unknown", "Bearer ", "Basic SG.a", "SG.a"])
def test_nobody_without_a_key_is_let_in(sendgrid, authorization):
    """Neither to send nor to ask."""
    headers = {"Authorization": authorization} if authorization else {}

    answers = [
        requests.post(f"{sendgrid.url}/v3/mail/send", json=MAIL, headers=headers, timeout=5),
        requests.get(f"{sendgrid.url}/v3/messages", headers=headers, timeout=5),
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert set(answers[0].json()["errors"][0]) == {"message", "field", "help"}
    assert sendgrid.mails == []


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"from": None}, 400, "from.email"),
        ({"from": {"email": "sales@acme.example"}}, 403, "from"),
        ({"personalizations": None}, 400, "personalizations"),
        ({"personalizations": [{}]}, 400, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "ann"}]}]}, 400, "personalizations.0.to.0.email"),
        ({"subject": ""}, 400, "subject"),
        ({"content": None}, 400, "content"),
        ({"content": [{"type": "text/html", "value": "<p>"}]}, 400, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, 400, "content.0.value"),
        ({"template_id": "HX1"}, 400, "template_id"),
        ({"headers": {"reply-to": "eve@b.example"}}, 400, "headers.reply-to"),
        ({"headers": {"X-A": "a\r\nBcc: eve@b.example"}}, 400, "headers.X-A"),
        ({"headers": {"X-A": "ü"}}, 400, "headers.X-A"),
        ({"headers": {"X-A": 7}}, 400, "headers"),
        ({"custom_args": {"a": "x" * 10_001}}, 400, "custom_args"),
    ],
)
def test_what_sendgrid_refuses_is_refused_by_the_field(sendgrid, changes, status, field):
    """An error of SendGrid's shape, and nothing is taken."""
    answer = post(sendgrid, **changes)

    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == field
    assert sendgrid.mails == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_what_is_no_document_is_refused(sendgrid, body):
    """By a 400, as SendGrid does."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    answer = requests.post(f"{sendgrid.url}/v3/mail/send", data=body, headers=headers, timeout=5)

    assert answer.status_code == 400


def test_a_template_needs_no_text(sendgrid):
    """Its variables are kept."""
    recipient = {"to": [{"email": "ann@example.net"}], "dynamic_template_data": {"name": "Ann"}}

    answer = post(sendgrid, content=None, template_id="d-" + "0" * 32, personalizations=[recipient])

    assert answer.status_code == 202
    assert sendgrid.mails[0].template_data == {"name": "Ann"}


def test_a_429_tells_when_the_limit_is_reset(sendgrid):
    """As an instant of SendGrid's own clock, which the answer tells beside it."""
    sendgrid.fail_next(Fault(kind=Kind.TOO_MANY, retry_after_seconds=9))

    answer = post(sendgrid)

    now = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert answer.status_code == 429
    assert int(answer.headers["X-RateLimit-Reset"]) - now == 9


def test_a_fault_applies_to_the_next_e_mail_that_it_fits_and_no_other(sendgrid):
    """A fault for one recipient waits for that one; set over HTTP, as the demo and a reader's curl do."""
    Mailboxes(sendgrid.url).fail_next(Fault(kind=Kind.SERVER_ERROR, to="bob@example.net"))
    others = [{"to": [{"email": "bob@example.net"}]}]

    answers = [post(sendgrid), post(sendgrid, personalizations=others), post(sendgrid, personalizations=others)]

    assert [answer.status_code for answer in answers] == [202, 503, 202]
    assert [one["to"] for one in Mailboxes(sendgrid.url).deliveries()] == ["ann@example.net", "bob@example.net"]


def test_the_ledger_tells_no_key(sendgrid):
    """Whoever looks into the mailboxes."""
    post(sendgrid)

    told = requests.get(f"{sendgrid.url}/_stand-in/deliveries", timeout=5).text

    assert "Hello Ann" in told
    assert KEY not in told


def test_activity_is_found_by_a_custom_argument_and_by_its_account_alone(sendgrid):
    """The newest first; to another account it does not exist."""
    for value in ("1", "2", "1"):
        post(sendgrid, custom_args={"send_id": value})
    query = "(unique_args['send_id']=\"1\")"

    answers = [activity(sendgrid, query, key=key) for key in (KEY, OTHER_KEY)]

    first, _, third = sendgrid.mails
    assert [[one["msg_id"] for one in answer.json()["messages"]] for answer in answers] == [
        [third.activity_id, first.activity_id],
        [],
    ]
    assert third.activity_id.startswith(third.id)


def test_activity_is_bought(sendgrid):
    """An account without it is forbidden to ask."""
    answer = activity(sendgrid, "(unique_args['send_id']=\"1\")", key=KEY_WITHOUT_ACTIVITY)

    assert answer.status_code == 403


def test_a_query_that_nobody_understands_is_refused(sendgrid):
    """By a 400, as SendGrid does."""
    answer = activity(sendgrid, "send_id=1")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "query")


@pytest.mark.parametrize("path", ["/v3/nothing", "/v3", "/"])
def test_other_paths_are_not_there(sendgrid, path):
    """With a key; without one nothing is told."""
    answer = requests.get(f"{sendgrid.url}{path}", headers={"Authorization": f"Bearer {KEY}"}, timeout=5)

    assert answer.status_code == 404
