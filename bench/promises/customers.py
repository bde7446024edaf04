"""The customers of an evening: their conversations, and their provider's requests."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from bench.promises.script import Line
from local.requests.signatures import signature

START = datetime(2036, 1, 5, 18, tzinfo=UTC)
"""In the future: the local AWS deletes what has expired by its own clock, which is the real one."""
STAGE = "dev"
COMPANY = "+447700900100"
ACCOUNT_SID, AUTH_TOKEN = "AC" + "1" * 32, "token-of-the-company"
SECRET = f"ai-multi-comms/whatsapp-credentials/acme/main/twilio-{STAGE}"
BASE_URL = "https://replies.example"
PATH = "/webhooks/whatsapp"


def number(customer: int) -> str:
    """A customer's number."""
    return f"+447700900{500 + customer}"


def row_of(customer: int) -> dict[str, Any]:
    """A conversation, as the company's own system writes it."""
    return {
        "primary_channel": number(customer),
        "conversation_id": f"conversation-{customer}",
        "gsi_company_whatsapp_number": COMPANY,
        "gsi_recipient_tel": number(customer),
        "recipient_tel": number(customer),
        "company_id": "acme",
        "company_name": "Acme",
        "project_id": "main",
        "thread_id": f"thread-{customer}",
        "project_status": "active",
        "allowed_channels": ["whatsapp"],
        "conversation_status": "initial_message_sent",
        "task_complete": 0,
        "created_at": START.isoformat(),
        "channel_config": {"whatsapp": {"credential_ref": SECRET}},
        "hand_off_to_human": False,
        "auto_queue_reply_message": False,
        "messages": [],
    }


def request(line: Line, *, forged: bool) -> dict[str, Any]:
    """API Gateway's event for a customer's message."""
    sid = "SM" + f"{abs(hash_of(line.token)):032x}"[-32:]
    form = {
        "MessageSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "From": f"whatsapp:{number(line.customer)}",
        "To": f"whatsapp:{COMPANY}",
        "Body": "" if line.kind == "photo" else line.token,
        "NumMedia": "1" if line.kind == "photo" else "0",
    }
    if line.kind == "photo":
        form |= {"MediaUrl0": f"https://api.twilio.com/{line.token}.jpg", "MediaContentType0": "image/jpeg"}
    if line.kind == "STOP":
        form["OptOutType"] = "STOP"
    token = "somebody else's" if forged else AUTH_TOKEN
    return {
        "httpMethod": "POST",
        "path": PATH,
        "headers": {
            "host": BASE_URL.removeprefix("https://"),
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            "x-twilio-signature": signature(BASE_URL + PATH, form, token),
        },
        "multiValueQueryStringParameters": None,
        "queryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": urlencode(form),
        "isBase64Encoded": False,
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": PATH,
            "path": PATH,
            "domainName": BASE_URL.removeprefix("https://"),
            "requestId": "gateway",
        },
    }


def hash_of(token: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(random.Random(token).randbytes(16), "big")  # noqa: S311  # repeatable, and no secret
