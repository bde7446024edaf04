"""What a log line never has: a company's URL token, and words that a forger chose."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from chalice.test import Client

import app
from chalicelib import wiring
from chalicelib.handlers import webhooks
from infrastructure import access_logs
from local.requests.email_signatures import key_pair
from tests.emails import Email, signature
from tests.world import EMAIL_SECRET_REF, World, email_conversation

TOKEN = "tOkEn" * 8


def said(world: World) -> str:
    return json.dumps(world.telemetry.lines) + json.dumps(world.telemetry.counts, default=str)


@pytest.mark.parametrize("secret", [TOKEN, "another" * 8])
@pytest.mark.parametrize("email", [Email(), Email(fields={"envelope": "{"}), Email(recipients=("nobody@x.example",))])
def test_no_line_has_the_token_of_a_url(secret: str, email: Email):
    """Whether it proves the request, is wrong, or the request cannot be read."""
    world = World(None, email_conversation())
    world.secrets.texts[EMAIL_SECRET_REF] = json.dumps({"url_token": secret})

    world.post_email(email, private_key=key_pair()[0], url_token=TOKEN)

    assert TOKEN not in said(world)


@pytest.mark.parametrize("surprise", [ValueError(TOKEN), KeyError(TOKEN), RecursionError(TOKEN)])
def test_a_surprise_is_logged_without_its_words(surprise: Exception, monkeypatch: pytest.MonkeyPatch):
    """They may hold the URL."""
    world = World(None, email_conversation())

    def fail(*_: Any) -> None:
        raise surprise

    monkeypatch.setattr(webhooks, "_web_request", fail)

    assert world.post_email(Email(), url_token=TOKEN).status_code == 500
    assert TOKEN not in said(world)


def test_nothing_that_the_whole_app_writes_has_the_token(monkeypatch: pytest.MonkeyPatch):
    """Chalice's own logger, the standard output and the errors; the view itself fails, as no view of ours should."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(webhooks, "receive_message", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(wiring, "engine", lambda: None)
    body = Email().body
    headers = {"content-type": Email().content_type, **signature(body, key_pair()[0])}
    try:
        with redirect_stdout(written), redirect_stderr(written), Client(app.app) as client:
            client.http.post(f"/webhooks/email/{TOKEN}", headers=headers, body=body)
    finally:
        logging.getLogger().removeHandler(handler)

    assert TOKEN not in written.getvalue()


def test_the_access_log_has_the_route_and_not_the_url():
    """Nor anything else that the caller wrote."""
    variables = set(json.loads(access_logs.FORMAT).values())

    assert not {one for one in variables if one in {"$context.path", "$context.protocol"} or "userAgent" in one}
    assert "$context.resourcePath" in variables


@pytest.mark.parametrize(
    "sid",
    [
        "SM" + "4915112345678" + "x" * 40,
        "x" * 500,
        "anna@customer.example",
        "SM\nlevel=critical",
        "SM" + "0" * 31 + "\x1b",
    ],
)
def test_an_id_that_nobody_verified_is_not_written_whole(sid: str):
    """A forger could write anything into the log by it."""
    world = World()

    world.post(world.form(sid=sid), token="forged")

    assert sid not in "".join(str(line) for line in world.telemetry.lines)
    assert all(len(str(line.get("message_sid", ""))) < 40 for line in world.telemetry.lines)


@pytest.mark.parametrize("path", ["/webhooks/twilio/status/{}"])
def test_an_id_of_a_forged_report_is_not_written(path: str):
    """Nor the send id, which is part of the URL."""
    world, send_id = World(), "forged-" * 20

    world.report(send_id, "delivered", token="forged", MessageSid="SM" + "x" * 300)

    assert send_id not in said(world)
    assert "x" * 100 not in said(world)
