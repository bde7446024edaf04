"""What the webhook's function costs: its cold start, and each warm webhook by its parts.

    python -m bench.hot_path

Cold: CPU time in which fresh processes import the app and build what the webhook's function builds at start, their
median, and what was imported. Warm: CPU time of one webhook through the shipped handlers and botocore's real clients,
whose requests are built, signed and answered in this process; then each part of it by itself. No network and no AWS
are needed.

It fails if the webhook's function ever loads `twilio.rest` or boto3's resources. About times nothing is asserted.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from chalice.app import MultiDict, Request
from twilio.request_validator import RequestValidator

from bench.answers import Answers
from bench.tables import ratio, show
from chalicelib.aws.attributes import item_to_wire
from chalicelib.aws.expressions import Expressions
from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.twilio.webhooks import Twilio
from chalicelib.conversations import lookup, staged_contexts
from chalicelib.handlers import webhooks
from chalicelib.ports.tables import Attr, Table
from chalicelib.protocol.staging import CONTEXT, MESSAGE_SID
from chalicelib.telemetry import Fields, Metric, Step, Trail
from chalicelib.wiring import Engine
from tests.world import AUTH_TOKEN, BASE_URL, ENVIRONMENT, conversation

PROCESSES = 7
TOP = 12
WEBHOOKS = 300
BLOCKS = 7
PATH = "/webhooks/whatsapp"
ROOT = Path(__file__).parent.parent
BODY = (ROOT / "tests" / "payloads" / "twilio" / "whatsapp_text.txt").read_bytes()
FORM: dict[str, list[str]] = {}
for _name, _value in parse_qsl(BODY.decode(), keep_blank_values=True):
    FORM.setdefault(_name, []).append(_value)
SECRET = json.dumps({"account_sid": FORM["AccountSid"][0], "auth_token": AUTH_TOKEN})
SIGNATURE = RequestValidator(AUTH_TOKEN).compute_signature(BASE_URL + PATH, MultiDict(FORM))

SETTINGS = {
    **ENVIRONMENT,
    "LOG_LEVEL": "INFO",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of a function that reaches nothing."""

UNWANTED = ("twilio.rest", "boto3.resources", "boto3")

COLD = """
import sys, time
started = time.process_time()
import app
imported = time.process_time()
from chalicelib import wiring
from chalicelib.channels.channel import Vendor
wiring.engine().receiving(Vendor.TWILIO)
built = time.process_time()
loaded = [name for name in sys.argv[1:] if name in sys.modules]
print(imported - started, built - imported, len(sys.modules), *loaded)
"""


def main() -> None:
    """Measure, print three tables, and fail if something is loaded that must not be."""
    loaded = show_cold()
    show_imports()
    show_warm()
    told = {name: "loaded" if name in loaded else "not loaded" for name in UNWANTED}
    print("In the webhook's function: " + ", ".join(f"{name} {state}" for name, state in told.items()) + "\n")
    if {"twilio.rest", "boto3.resources"} & loaded:
        sys.exit(1)


# ---------------------------------------------------------------- cold


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh process with nothing in its environment but the settings."""
    environment = {**SETTINGS, "PYTHONPATH": str(ROOT), "PATH": os.defpath}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )


def show_cold() -> set[str]:
    """The start of a process, and which of the unwanted modules it loads."""
    child("-c", COLD, *UNWANTED)  # the first one compiles
    told = [child("-c", COLD, *UNWANTED).stdout.split() for _ in range(PROCESSES)]
    imported, built = (median(float(one[part]) for one in told) * 1_000 for part in (0, 1))
    rows = [("import app", imported), ("build what receives", built), ("both", imported + built)]
    show(
        f"Cold start of the webhook's function, median of {PROCESSES} processes ({told[0][2]} modules)",
        ["", "CPU ms", "ratio"],
        [[name, f"{one:.0f}", ratio(one, imported)] for name, one in rows],
    )
    return {name for one in told for name in one[3:]}


def show_imports() -> None:
    """What that imported, each package with its own modules' time, the dearest first."""
    least: dict[str, int] = {}
    for _ in range(PROCESSES):
        for line in child("-X", "importtime", "-c", COLD).stderr.splitlines():
            own, _, name = line.removeprefix("import time:").partition("|")
            if own.strip().isdigit():
                module = name.rpartition("|")[2].strip()
                least[module] = min(least.get(module, int(own)), int(own))
    packages: dict[str, list[int]] = defaultdict(list)
    for module, microseconds in least.items():
        packages[module.partition(".")[0]].append(microseconds)
    dearest = sorted(packages, key=lambda one: sum(packages[one]), reverse=True)[:TOP]
    whole = sum(least.values())
    show(
        f"The {TOP} dearest packages of that start, each module's least of {PROCESSES} processes",
        ["package", "modules", "ms", "share"],
        [
            [one, str(len(packages[one])), f"{sum(packages[one]) / 1_000:.1f}", f"{sum(packages[one]) / whole:.0%}"]
            for one in dearest
        ],
    )


# ---------------------------------------------------------------- warm


def show_warm() -> None:
    """One webhook, and each of its parts."""
    os.environ.update(SETTINGS)
    engine = Engine()
    answers = Answers(engine, conversation(), SECRET)
    request = chalice_request()
    with redirect_stdout(io.StringIO()):  # lines and metrics are written, to nowhere
        receive(engine, request)
        answers.operations.clear()
        receive(engine, request)
    calls = ", ".join(answers.operations)
    with redirect_stdout(io.StringIO()):
        parts = {"the whole webhook": cpu_milliseconds(lambda: receive(engine, request), WEBHOOKS)}
        parts |= {name: cpu_milliseconds(part, WEBHOOKS * 4) for name, part in parts_of(engine).items()}
    whole = parts["the whole webhook"]
    show(
        f"One warm webhook with a cached secret: {calls}",
        ["CPU, fastest of several blocks", "ms", "share of the whole"],
        [[name, f"{one:.3f}", f"{one / whole:.1%}"] for name, one in parts.items()],
    )


def chalice_request() -> Request:
    """The recorded message, signed, as API Gateway hands it over."""
    event = {
        "headers": {"content-type": "application/x-www-form-urlencoded", "X-Twilio-Signature": SIGNATURE},
        "requestContext": {"httpMethod": "POST", "resourcePath": PATH, "path": PATH},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": BODY.decode(),
        "isBase64Encoded": False,
    }
    return Request(event, SimpleNamespace(aws_request_id="request-1"))


def receive(engine: Engine, request: Request) -> None:
    """One webhook through the shipped handler."""
    answer = webhooks.receive_message(request, Vendor.TWILIO, engine)
    assert answer.status_code == 200, "the provider is told that it is taken"  # noqa: PLR2004 - an HTTP status


def parts_of(engine: Engine) -> dict[str, Callable[[], object]]:
    """What a webhook does beside its calls, each by itself, and the requests of two of these."""
    web = WebhookRequest((BASE_URL + PATH,), {"x-twilio-signature": SIGNATURE}, BODY, "request-1")
    provider = Twilio(tuple(engine.channels.values()), engine.clock)
    (message,) = provider.parse(web)

    def context() -> dict[str, Any]:
        return staged_contexts.staged_context(message, request_id="request-1", now=engine.clock.now())

    known: Fields = {"request_id": "request-1", "message_sid": message.message_sid, "channel": "whatsapp"}
    trail = Trail(engine.telemetry, engine.clock, **known)
    row = {MESSAGE_SID: message.message_sid, CONTEXT: context(), "conversation_id": "conversation-1"}
    condition = Attr(MESSAGE_SID).missing()
    client = engine.clients.of("dynamodb")
    serializer, operation = vars(client)["_serializer"], client.meta.service_model.operation_model("PutItem")
    put = {"TableName": "stage", "Item": item_to_wire(row), "ConditionExpression": "attribute_not_exists(#0)"}
    stage: Table = engine.tables.stage
    return {
        "- parse the form": lambda: provider.parse(web),
        "- verify the signature": lambda: provider.is_genuine(web, message.account_id, SECRET),
        "- find: query the index": lambda: lookup.find_pair(
            engine.tables.conversations, engine.channels["whatsapp"], message
        ),
        "- build the context": context,
        "- render the put's condition": lambda: Expressions().condition(condition),
        "- spell the put's row": lambda: item_to_wire(row),
        "- serialise the put's request": lambda: serializer.serialize_to_request(put, operation),
        "- put: the whole call": lambda: stage.put(row, when=condition),
        "- one line of the log": lambda: trail.log(Step.STAGED, route="channel"),
        "- one metric": lambda: trail.count(Metric.STAGED, outcome="channel"),
    }


def cpu_milliseconds(part: Callable[[], object], times: int) -> float:
    """CPU time of one run of `part`, by the fastest of several blocks of runs: others use the machine too."""
    blocks = []
    for _ in range(BLOCKS):
        started = time.process_time()
        for _ in range(times // BLOCKS):
            part()
        blocks.append((time.process_time() - started) * 1_000 / (times // BLOCKS))
    return min(blocks)


if __name__ == "__main__":
    main()
