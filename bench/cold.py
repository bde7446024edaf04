"""The cold start of the webhook's function, beside that of the obvious build of the same webhook.

    python -m bench.cold

Both are packaged for this machine's processor from the same locked packages: ours as `make deploy` makes it, the
obvious one as Chalice would, with an app of a few lines on chalice, boto3 and twilio. Fresh processes import each app
from its package alone, in turns. They never write a cache, as on Lambda, whose folder is read-only. A first connection
to each service then reads the certificate authorities that its client trusts. About times nothing is asserted.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from bench.tables import ratio, show
from infrastructure.packaging import Package
from infrastructure.stages import handlers, stages

ROOT = Path(__file__).parent.parent
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
TURNS = 9
SERVICES = 3
"""To which a webhook connects: DynamoDB, SQS and Secrets Manager."""

OBVIOUS = """
import boto3
from chalice import Chalice, Response
from twilio.request_validator import RequestValidator

app = Chalice(app_name="obvious")
clients = [boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("secretsmanager")]


@app.route("/webhooks/sms", methods=["POST"], content_types=["application/x-www-form-urlencoded"])
def webhook():
    return Response("", status_code=200)
"""

START = """
import json, ssl, sys, time
sys.path.insert(0, sys.argv[1])
started = time.process_time()
import app
built = time.process_time()
from botocore.httpsession import get_cert_path
engine = sys.modules.get("chalicelib.wiring")
clients = app.clients if engine is None else [
    engine.engine().clients.of(name) for name in ("dynamodb", "sqs", "secretsmanager")
]
before = time.process_time()
for client in clients:
    ssl.create_default_context(cafile=get_cert_path(client._endpoint.http_session._verify))
trusted = time.process_time()
print(json.dumps([(built - started) * 1_000, (trusted - before) * 1_000, len(sys.modules)]))
"""


def main() -> None:
    """Make both packages, start each in turns, and print both with their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        ours, obvious = Path(folder) / "ours", Path(folder) / "obvious"
        size = unpack(ours)
        make_obvious(ours, obvious)
        turns = [(start(ours), start(obvious)) for _ in range(TURNS + 1)][1:]  # the first warms the disk's cache
    figures = [[median(one[part] for one in side) for part in range(3)] for side in zip(*turns, strict=True)]
    own, other = figures
    whole, other_whole = own[0] + own[1], other[0] + other[1]
    rows = [
        ("import and build", own[0], other[0]),
        (f"trust, {SERVICES} connections", own[1], other[1]),
        ("cold start", whole, other_whole),
    ]
    show(
        f"Cold start as packaged, CPU ms, median of {TURNS} processes in turns; ours {size:.1f} MB zipped",
        ["", "ours", "obvious", "ratio"],
        [[name, f"{mine:.0f}", f"{theirs:.0f}", ratio(mine, theirs)] for name, mine, theirs in rows]
        + [["modules", f"{own[2]:.0f}", f"{other[2]:.0f}", ratio(own[2], other[2])]],
    )


def unpack(folder: Path) -> float:
    """Our package, as it is deployed; its size in MB."""
    file = Package(ROOT, ARCHITECTURE, handlers(), stages()["dev"].variables).file()
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return file.stat().st_size / 1024**2


def make_obvious(ours: Path, folder: Path) -> None:
    """The same packages with the obvious app, as Chalice packages it: nothing compiled, all of botocore's models."""
    import botocore  # noqa: PLC0415  # this environment's, of the same locked version

    shutil.copytree(ours, folder, ignore=shutil.ignore_patterns("__pycache__", "chalicelib"))
    shutil.copytree(Path(botocore.__file__).parent / "data", folder / "botocore" / "data", dirs_exist_ok=True)
    (folder / "app.py").write_text(OBVIOUS)


def start(package: Path) -> list[float]:
    """Milliseconds of one start and of its first connections, and how many modules it loaded."""
    environment = dict(stages()["dev"].variables) | {
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_CONFIG_FILE": os.devnull,
        "_HANDLER": "app.app",
    }
    command = [sys.executable, "-B", "-I", "-S", "-c", START, str(package)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return [float(one) for one in json.loads(done.stdout)]


if __name__ == "__main__":
    main()
