"""AWS, answering in this process: every request of botocore's clients is built and signed, and never sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from chalicelib.aws.attributes import item_to_wire
from chalicelib.wiring import Engine
from tests.world import SECRET_REF

Document = Mapping[str, Any]

_PROJECTED = {"primary_channel", "conversation_id", "task_complete", "created_at", "channel_config", "company_id"}
"""What the indexes of the look-up hold, beside their own keys."""


class Answers:
    """Answers as AWS would answer a message that goes its usual way, and is staged for the first time.

    Args:
        engine: whose clients are answered.
        row: of the conversation.
        secret: of its company.
    """

    def __init__(self, engine: Engine, row: Document, secret: str) -> None:
        found = item_to_wire(row)
        loaded = {"Item": {name: one for name, one in found.items() if name != "messages"}}
        projected = {name: one for name, one in found.items() if name in _PROJECTED or name.startswith("gsi_")}
        documents: Mapping[str, Document] = {
            "Query": {"Items": [projected], "Count": 1, "ScannedCount": 1},
            "GetItem": loaded,
            "PutItem": {},
            "GetSecretValue": {"Name": SECRET_REF, "SecretString": secret},
            "GetQueueUrl": {"QueueUrl": "http://127.0.0.1:1/000000000000/queue"},
            "SendMessage": {"MessageId": "message-1"},
        }
        # Spelt out once: that is the service's work.
        self._contents = {name: json.dumps(document).encode() for name, document in documents.items()}
        self.operations: list[str] = []
        for service in ("dynamodb", "sqs", "secretsmanager", "s3"):
            client = engine.clients.of(service)
            client.meta.events.register(f"before-send.{client.meta.service_model.service_id.hyphenize()}", self.answer)

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        target = request.headers.get("X-Amz-Target", b"")
        name = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        self.operations.append(name or "PutObject")
        is_staged = name == "GetItem" and b'"message_sid"' in request.body
        content = b"{}" if is_staged else self._contents.get(name, b"{}" if name else b"")
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda **_: iter([content])))
