"""Sending e-mail through SendGrid's v3 API.

Only the function that sends imports this module. It uses `requests`, which Twilio's library depends on. The `sendgrid`
package takes no timeout in its constructor, and a send without a timeout holds its conversation's lock.

SendGrid answers 202 once it has queued the e-mail, with an id (`X-Message-Id`). It has no idempotency key. Only
accounts with the paid Email Activity API can ask whether an e-mail was accepted. There our send id, which goes along in
`custom_args`, is looked up; elsewhere a send in doubt stays in doubt. SendGrid does not document the delay of the
Activity API, so it may not show an accepted e-mail yet.

The text is sent as written: click tracking would replace its links; open tracking and subscription tracking would add
to it. Media are sent as links below the text. To attach them, we would have to fetch URLs chosen by a reply, between
the claim and the send.

Not in SendGrid's documentation but known from others: a `Message-ID` among the headers reaches the recipient unchanged.
Guessed: the status that an account without the Email Activity API gets; every refusal but a 401 is taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from requests import PreparedRequest, RequestException, Response

from chalicelib.channels.answers import Answer, outcome_of
from chalicelib.channels.connections import Connections
from chalicelib.channels.email.threading import Heading
from chalicelib.channels.http_errors import was_not_sent, whole_seconds
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, SendOutcome, Sent, TemporaryFailure
from chalicelib.channels.sendgrid.credentials import SendGridCredentials
from chalicelib.channels.sendgrid.outcomes import TABLE
from chalicelib.errors import Code, Misconfigured, ReplyCode, TryAgain

SEND_ID: Final = "send_id"
"""The custom argument that bears our id of a part."""

_API: Final = "https://api.sendgrid.com"
_FOUND_MAX: Final = 10
_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f<>,;@]+@[^\s\x00-\x20\x7f<>,;@]+")
"""One address and nothing beside it; whether it is a good one SendGrid tells."""
_KEY = re.compile(r"[!-~]+")
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OFF = {"enable": False}


class SendGridSender:
    """Sends and looks up e-mails for any account."""

    lists_every_message = False
    """The Email Activity API is an extra, and late: an e-mail that it lacks may have been taken."""

    def __init__(self, connect_seconds: float, read_seconds: float, *, base_url: str, connections: Connections) -> None:
        self._connections = connections
        self._timeout = connect_seconds, read_seconds
        self._base_url = base_url or _API

    def extras(self, part: OutboundPart) -> Mapping[str, str]:
        """The subject and the ids by which the e-mail is threaded, as an inbound e-mail's extras tell them."""
        return Heading.of(part).extras

    def send(self, part: OutboundPart, secret: str) -> SendOutcome:
        """Send one e-mail, once.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed, or has no `api_key`.
        """
        key = _key(secret)
        if not _ADDRESS.fullmatch(part.to) or not _ADDRESS.fullmatch(part.sender):
            return PermanentFailure(ReplyCode.NO_RECIPIENT)
        try:
            answer = self._request("POST", "/v3/mail/send", key, json=_document(part))
        except RequestException as error:
            return TemporaryFailure("UNREACHABLE") if was_not_sent(error) else InDoubt()
        if answer.status_code == HTTPStatus.ACCEPTED:
            return Sent(answer.headers.get("X-Message-Id") or part.send_id)
        return _outcome(answer)

    def find(
        self,
        part: OutboundPart,
        secret: str,
        *,
        since: datetime,  # noqa: ARG002  # the send id was never another e-mail's
    ) -> list[str]:
        """SendGrid's ids of the e-mails that bear the part's send id; none where the account cannot be asked.

        Raises:
            TryAgain: `QUEUE_ERROR`; SendGrid cannot be asked now.
            Misconfigured: `SECRET_FETCH_FAILED`; the secret is malformed, or SendGrid does not take it.
        """
        query = {"limit": str(_FOUND_MAX), "query": f"(unique_args['{SEND_ID}']=\"{part.send_id}\")"}
        try:
            answer = self._request("GET", "/v3/messages", _key(secret), params=query)
        except RequestException as error:
            raise TryAgain(Code.QUEUE_ERROR, f"SendGrid cannot be asked: {type(error).__name__}") from error
        status = answer.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"SendGrid answered {status} to a look-up")
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TryAgain(Code.QUEUE_ERROR, f"SendGrid cannot be asked: {status}")
        if status != HTTPStatus.OK:
            return []
        return _found(answer)

    def _request(self, method: str, path: str, key: str, **what: Any) -> Response:
        return self._connections.request(
            method,
            f"{self._base_url}{path}",
            auth=_bearer(key),
            headers={"Accept": "application/json"},
            timeout=self._timeout,
            allow_redirects=False,
            **what,
        )


def _key(secret: str) -> str:
    """The key that sends. Raises `Misconfigured` where the secret has none that can stand in a header."""
    key = SendGridCredentials.from_secret(secret).api_key
    if key is None or not _KEY.fullmatch(key):
        raise Misconfigured(Code.SECRET_FETCH_FAILED, "a SendGrid secret has no api_key")
    return key


def _bearer(key: str) -> Callable[[PreparedRequest], PreparedRequest]:
    """As `auth`, and not as a header, for which a machine's own list of passwords would win."""

    def authorize(request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return authorize


def _document(part: OutboundPart) -> dict[str, Any]:
    """The e-mail as `POST /v3/mail/send` wants it."""
    heading = Heading.of(part)
    recipient: dict[str, Any] = {"to": [{"email": part.to}]}
    document: dict[str, Any] = {
        "personalizations": [recipient],
        "from": {"email": part.sender},
        "subject": heading.subject,
        "headers": heading.headers,
        "custom_args": {SEND_ID: part.send_id},
        "tracking_settings": {
            "click_tracking": {**_OFF, "enable_text": False},
            "open_tracking": _OFF,
            "subscription_tracking": _OFF,
        },
    }
    if part.content_sid is None:
        text = "\n\n".join(filter(None, [part.body, "\n".join(part.media_urls)]))
        return {**document, "content": [{"type": "text/plain", "value": text}]}
    # A template has a subject of its own; with `{{subject}}` as that it stays in the thread.
    variables = {"subject": heading.subject, "media_urls": list(part.media_urls), **part.content_variables}
    recipient["dynamic_template_data"] = variables
    return {**document, "template_id": part.content_sid}


def _outcome(answer: Response) -> SendOutcome:
    """What is known of a send that was answered so, by the table of SendGrid's statuses."""
    field, is_of_sendgrid = _complaint(answer)
    return outcome_of(
        TABLE,
        Answer(
            status=answer.status_code,
            is_of_provider=is_of_sendgrid,
            detail=f"{answer.status_code} {field}" if field else None,
            retry_after_seconds=_wait_seconds(answer.headers),
        ),
    )


def _complaint(answer: Response) -> tuple[str | None, bool]:
    """The field that SendGrid complains of, and whether the body is SendGrid's error document at all.

    Its sentence may quote an address, and is left out.
    """
    try:
        errors = answer.json()["errors"]
        first = errors[0]
        field = first.get("field")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None, False
    is_name = isinstance(field, str) and _FIELD.fullmatch(field)
    return (field if is_name else None), "message" in first


def _wait_seconds(headers: Mapping[str, str]) -> int:
    """How long SendGrid wants to be left alone: seconds, or an instant, which its own clock tells beside it."""
    if told := whole_seconds(headers.get("Retry-After")):
        return told
    try:
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return 0
    return max(0, round(whole_seconds(headers.get("X-RateLimit-Reset")) - now))


def _found(answer: Response) -> list[str]:
    """The ids of a page of the Email Activity API. Raises `TryAgain` where it is none."""
    try:
        return [str(one["msg_id"]) for one in answer.json()["messages"]]
    except (ValueError, LookupError, TypeError) as fault:
        raise TryAgain(Code.QUEUE_ERROR, "SendGrid's answer to a look-up cannot be read") from fault
