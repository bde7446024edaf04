"""The URL that the provider called and signed, as each place tells it."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.app import Request

from chalicelib.handlers.webhooks import public_url

TEMPLATE_PATH = "/webhooks/whatsapp"


def request(
    *, headers: dict[str, str] | None = None, query: dict[str, list[str]] | None = None, **context: Any
) -> Request:
    event = {
        "headers": headers or {},
        "requestContext": {"httpMethod": "POST", "resourcePath": TEMPLATE_PATH, **context},
        "pathParameters": None,
        "multiValueQueryStringParameters": query,
        "stageVariables": None,
        "body": "",
        "isBase64Encoded": False,
    }
    return Request(event, None)


@pytest.mark.parametrize(
    ("domain", "path", "url"),
    [
        (
            "abc.execute-api.eu-west-1.amazonaws.com",
            "/prod/webhooks/whatsapp",
            "https://abc.execute-api.eu-west-1.amazonaws.com/prod/webhooks/whatsapp",
        ),
        ("hooks.example.com", "/webhooks/whatsapp", "https://hooks.example.com/webhooks/whatsapp"),
        ("hooks.example.com", "/replies/webhooks/whatsapp", "https://hooks.example.com/replies/webhooks/whatsapp"),
    ],
    ids=["stage path", "custom domain", "custom domain with a base path"],
)
def test_on_aws_it_is_the_domain_and_the_path_with_its_stage(domain: str, path: str, url: str):
    """Whatever the Host header says: that one is the caller's to set."""
    made = request(domainName=domain, path=path, headers={"Host": "evil.example", "X-Forwarded-Proto": "http"})

    assert public_url(made, "") == url


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://hooks.example.com", "/prod/webhooks/whatsapp", "https://hooks.example.com/webhooks/whatsapp"),
        ("https://hooks.example.com/v1", "/prod/webhooks/whatsapp", "https://hooks.example.com/v1/webhooks/whatsapp"),
        ("https://hooks.example.com:8443", "/webhooks/whatsapp", "https://hooks.example.com:8443/webhooks/whatsapp"),
    ],
)
def test_a_configured_base_stands_for_everything_before_the_webhooks(base: str, path: str, url: str):
    """It is safest: no header and no stage has a say."""
    made = request(domainName="abc.execute-api.eu-west-1.amazonaws.com", path=path, headers={"host": "evil.example"})

    assert public_url(made, base) == url


def test_chalice_local_tells_it_by_its_host():
    """Header names in lower case, no domain and no stage."""
    made = request(path="/webhooks/whatsapp", headers={"host": "127.0.0.1:8000"})

    assert public_url(made, "") == "http://127.0.0.1:8000/webhooks/whatsapp"


@pytest.mark.parametrize("names", [("host", "x-forwarded-proto"), ("Host", "X-Forwarded-Proto")])
def test_a_tunnel_tells_it_by_the_forwarded_scheme(names: tuple[str, str]):
    """A tunnel such as ngrok passes the public host, and the scheme that it was called by."""
    headers = dict(zip(names, ("a1b2.ngrok.app", "https"), strict=True))
    made = request(path="/webhooks/whatsapp", headers=headers)

    assert public_url(made, "") == "https://a1b2.ngrok.app/webhooks/whatsapp"


def test_of_several_forwarded_schemes_the_first_is_the_caller_s():
    """Each proxy on the way adds its own."""
    made = request(path="/webhooks/whatsapp", headers={"host": "a1b2.ngrok.app", "x-forwarded-proto": "https,http"})

    assert public_url(made, "") == "https://a1b2.ngrok.app/webhooks/whatsapp"


def test_without_a_path_of_its_own_the_route_s_stands():
    """As some test clients have it."""
    made = request(headers={"host": "localhost"})

    assert public_url(made, "") == "http://localhost/webhooks/whatsapp"


def test_without_a_host_it_is_one_that_nobody_signed():
    """Nothing is raised."""
    made = request(path="/webhooks/whatsapp")

    assert public_url(made, "") == "http://localhost/webhooks/whatsapp"


@pytest.mark.parametrize("base", ["", "https://hooks.example.com"])
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"a": ["1"]}, "?a=1"),
        ({"a": ["1", "2"], "b": [""]}, "?a=1&a=2&b="),
        ({"name": ["a b&c=d"]}, "?name=a+b%26c%3Dd"),
        (None, ""),
    ],
)
def test_a_query_string_is_rebuilt(base: str, query: dict | None, told: str):
    """Every value of a name, in order, encoded again."""
    made = request(domainName="hooks.example.com", path="/webhooks/whatsapp", query=query)

    assert public_url(made, base) == f"https://hooks.example.com/webhooks/whatsapp{told}"
