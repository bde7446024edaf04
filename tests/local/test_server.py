"""The server of `make run` and `chalice local` hands a request's bytes to the app as they came."""

from __future__ import annotations

from hashlib import sha256

import pytest
from chalice import Chalice, Response
from chalice.config import Config
from chalice.local import LocalGateway

EVERY_BYTE = bytes(range(256)) * 8


@pytest.fixture
def gateway() -> LocalGateway:
    """An app with a route as ours are, behind Chalice's local gateway."""
    app = Chalice(app_name="bytes", configure_logs=False)
    app.api.binary_types.append("multipart/form-data")

    @app.route("/", methods=["POST"], content_types=["*/*"])
    def digest() -> Response:
        assert app.current_request is not None
        return Response(sha256(app.current_request.raw_body).hexdigest(), headers={"Content-Type": "text/plain"})

    return LocalGateway(app, Config())


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=xYzZY", "application/x-www-form-urlencoded; charset=UTF-8"],
)
def test_a_body_reaches_the_app_byte_for_byte(gateway, content_type):
    """Also where Chalice does not take it for binary, because its type names a boundary."""
    answer = gateway.handle_request("POST", "/", {"Content-Type": content_type}, EVERY_BYTE)

    assert answer["body"] == sha256(EVERY_BYTE).hexdigest()
