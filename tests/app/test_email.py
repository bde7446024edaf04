"""E-mail through the app as it is deployed: binary bodies through Chalice's gateway, real adapters, moto's AWS."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import boto3
import pytest
from chalice.test import HTTPResponse

import app
from local.requests.email_signatures import key_pair
from tests.app.conftest import HOST, Deployment
from tests.emails import CUSTOMER_EMAIL, Email, keys, signature
from tests.world import CUSTOMER, EMAIL_SECRET_REF, email_conversation

PDF = ("März.pdf", "application/pdf", bytes(range(256)) * 4)
TOKEN, TOKEN_REF = "t" * 48, "ai-multi-comms/email-credentials/acme/main/token-local"


@pytest.fixture
def emailed(deployment: Deployment) -> Iterator[Deployment]:
    """A deployment whose customer may write e-mails."""
    secrets = {EMAIL_SECRET_REF: {"public_key": keys()[1]}, TOKEN_REF: {"url_token": TOKEN}}
    for name, told in secrets.items():
        deployment.secrets.create_secret(Name=name, SecretString=json.dumps(told))
    deployment.seed(**email_conversation())
    yield deployment
    for name in secrets:
        deployment.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    deployment.messages_gone("email")


def post(
    deployment: Deployment, email: Email, *, path: str = "/webhooks/email", private_key: str | None = None
) -> HTTPResponse:
    """One e-mail as SendGrid posts it."""
    body = email.body
    told = {"Content-Type": email.content_type, **signature(body, private_key)}
    return deployment.send(body, told, path=path)


@pytest.mark.parametrize("is_raw", [False, True], ids=["parsed", "raw"])
def test_an_e_mail_reaches_the_ai_with_its_attachment_in_the_bucket(emailed: Deployment, is_raw: bool):
    """Byte for byte: the body is not text, and its signature is over the bytes."""
    email = Email(text="Grüße", attachments=(PDF,), is_raw=is_raw, charset="ISO-8859-1" if not is_raw else "UTF-8")

    response = post(emailed, email)
    emailed.run_worker("email")

    (document,) = emailed.messages("ai")
    (message,) = document["messages"]
    (medium,) = message["media"]
    bucket, _, key = medium["url"].removeprefix("s3://").partition("/")
    kept = boto3.client("s3").get_object(Bucket=bucket, Key=key)
    assert (response.status_code, response.json_body) == (200, {"success": True, "code": None})
    assert (document["conversation"]["primary_channel"], message["from"]) == (CUSTOMER, CUSTOMER_EMAIL)
    assert (message["body"], medium["size_bytes"], medium["content_type"]) == ("Grüße", 1_024, "application/pdf")
    assert (kept["Body"].read(), kept["ContentType"]) == (PDF[2], "application/pdf")


def test_all_of_a_long_text_is_in_the_bucket(emailed: Deployment):
    """What does not fit is named by the context."""
    text = "ä" * 10_000

    post(emailed, Email(text=text))

    (row,) = emailed.rows("stage")
    bucket, _, key = (
        row["context_object"]["messages"][0]["extras"]["whole_text_url"].removeprefix("s3://").partition("/")
    )
    kept = boto3.client("s3").get_object(Bucket=bucket, Key=key)
    assert (kept["Body"].read().decode(), kept["ContentType"]) == (text, "text/plain; charset=utf-8")


def test_a_large_e_mail_is_taken(emailed: Deployment):
    """4 MB, about as much as API Gateway and Lambda let through."""
    email = Email(attachments=(("photo.jpg", "image/jpeg", b"\xff\xd8" * 2_000_000),))

    response = post(emailed, email)

    (row,) = emailed.rows("stage")
    assert response.status_code == 200
    assert row["context_object"]["messages"][0]["media"][0]["size_bytes"] == 4_000_000


def test_a_token_in_the_path_proves_a_company_without_signing(emailed: Deployment):
    """Only where its secret says so."""
    emailed.seed(channel_config={"email": {"credential_ref": TOKEN_REF}})

    statuses = [
        post(emailed, Email(), path=path, private_key=key_pair()[0]).status_code
        for path in ("/webhooks/email", f"/webhooks/email/{TOKEN[:-1]}", f"/webhooks/email/{TOKEN}")
    ]

    assert statuses == [403, 403, 200]


@pytest.mark.parametrize(
    ("email", "status", "code"),
    [
        (Email(fields={"envelope": None}), 400, "MISSING_REQUIRED_FIELD"),
        (Email(fields={"envelope": "{"}), 400, "PARSING_ERROR"),
        (
            Email(sender="stranger@customer.example", return_path="stranger@customer.example"),
            404,
            "CONVERSATION_NOT_FOUND",
        ),
        (Email(recipients=("nobody@nowhere.example",)), 403, "INVALID_SIGNATURE"),
        (Email(return_path=""), 200, "AUTOMATIC_MESSAGE"),
    ],
)
def test_what_is_not_taken_is_answered_in_json(emailed: Deployment, email: Email, status: int, code: str):
    """By the table."""
    response = post(emailed, email)

    told = response.json_body
    assert (response.status_code, told["success"], told["code"]) == (status, status == 200, code)
    assert told["message"]
    assert emailed.rows("stage") == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "multipart/form-data"])
def test_another_content_type_is_answered_by_our_own_door(emailed: Deployment, content_type: str):
    """400, and no 415 of Chalice's."""
    body = Email().body

    response = emailed.send(body, {"Content-Type": content_type, **signature(body)}, path="/webhooks/email")

    assert (response.status_code, response.json_body["code"]) == (400, "PARSING_ERROR")


@pytest.mark.parametrize("is_base64", [True, False])
def test_a_body_as_api_gateway_may_hand_it_over_is_answered(emailed: Deployment, is_base64: bool):
    """In base64, for the type is a binary one; as text where somebody left that out, and what was text is read."""
    body = Email().body
    event = {
        "headers": {"content-type": Email().content_type, "host": HOST, **signature(body)},
        "requestContext": {"httpMethod": "POST", "resourcePath": "/webhooks/email", "path": "/local/webhooks/email"},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": base64.b64encode(body).decode() if is_base64 else body.decode(),
        "isBase64Encoded": is_base64,
    }

    answer = app.app(event, None)

    assert answer["statusCode"] == 200
    assert len(emailed.rows("stage")) == 1
