"""The URL that the provider called and signed, as each place tells it."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.app import Request

from chalicelib.handlers.webhooks import public_urls

TEMPLATE_PATH = "/webhooks/whatsapp"


def public_url(request: Request, base: str) -> str:
    """The first of the URLs that may have been signed."""
    return public_urls(request, base)[0]


def request(
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, list[str]] | None = None,
    route: str = TEMPLATE_PATH,
    **context: Any,
) -> Request:
    event = {
        "headers": headers or {},
        "requestContext": {"httpMethod": "POST", "resourcePath": route, **context},
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


@pytest.mark.parametrize(
    ("route", "path", "own"),
    [
        ("/webhooks/whatsapp", "/webhooks/webhooks/whatsapp", "/webhooks/whatsapp"),
        ("/webhooks/whatsapp", "/webhooks/prod/webhooks/whatsapp", "/webhooks/whatsapp"),
        ("/webhooks/whatsapp", "/whatsapp/webhooks/whatsapp", "/webhooks/whatsapp"),
        ("/webhooks/sms", "/a/b/webhooks/sms", "/webhooks/sms"),
        ("/webhooks/email/{token}", "/webhooks/webhooks/email/webhooks", "/webhooks/email/webhooks"),
        ("/webhooks/twilio/status/{send}", "/webhooks/webhooks/twilio/status/ab", "/webhooks/twilio/status/ab"),
        ("/webhooks/whatsapp", "/webhooks/webhooks/whatsapp/", "/webhooks/whatsapp/"),
    ],
)
def test_a_base_path_mapping_may_have_any_name(route: str, path: str, own: str):
    """Also `webhooks`: the route tells how much of the path is ours."""
    made = request(domainName="hooks.example.com", path=path, route=route)

    assert public_urls(made, "https://public.example.com/x") == (
        f"https://public.example.com/x{own}",
        f"https://hooks.example.com{path}",
    )


def test_the_request_s_own_url_is_legitimate_beside_the_configured_one():
    """A company's console may still name the execute-api URL."""
    own = "https://abc.execute-api.eu-west-1.amazonaws.com/prod/webhooks/whatsapp"
    made = request(domainName="abc.execute-api.eu-west-1.amazonaws.com", path="/prod/webhooks/whatsapp")

    assert public_urls(made, "https://hooks.example.com") == ("https://hooks.example.com/webhooks/whatsapp", own)


def test_the_same_url_is_checked_once():
    """The custom domain is the configured base."""
    made = request(domainName="hooks.example.com", path="/webhooks/whatsapp")

    assert public_urls(made, "https://hooks.example.com") == ("https://hooks.example.com/webhooks/whatsapp",)


def test_a_host_header_adds_nothing_to_a_configured_base():
    """It is the caller's to set: a request that was signed for another deployment stays a forgery here."""
    made = request(path="/webhooks/whatsapp", headers={"host": "other.example.com", "x-forwarded-proto": "https"})

    assert public_urls(made, "https://hooks.example.com") == ("https://hooks.example.com/webhooks/whatsapp",)


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
