"""The connections to AWS: by which certificate authorities an endpoint is believed."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import certifi
import pytest
from botocore.session import Session
from cryptography import x509

from chalicelib.aws.clients import AMAZON_ROOTS, Clients, trusted
from tests.world import settings_of

ON_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "one", "AWS_DEFAULT_REGION": "eu-central-1"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A function's, with nothing of this machine's."""
    for name in ("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_PROFILE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in ON_LAMBDA.items():
        monkeypatch.setenv(name, value)


def test_on_lambda_amazon_s_own_authorities_are_trusted():
    """And no other."""
    assert trusted(Session()) == str(AMAZON_ROOTS)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_DEFAULT_REGION": "cn-north-1"},
        {"AWS_DEFAULT_REGION": "us-iso-east-1"},
        {"AWS_DEFAULT_REGION": "nowhere-1"},
        {"AWS_CA_BUNDLE": "/own/bundle.pem"},
        {"AWS_ENDPOINT_URL": "https://aws.example"},
        {"AWS_ENDPOINT_URL_SQS": "https://sqs.example"},
        {"HTTPS_PROXY": "http://proxy.example:3128"},
    ],
    ids=lambda one: "-".join(one.values()),
)
def test_where_another_authority_may_sign_botocore_chooses(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """In another partition, behind a proxy, at an endpoint of one's own, with a bundle of one's own."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert trusted(Session()) is None


def test_elsewhere_than_on_lambda_botocore_chooses(monkeypatch: pytest.MonkeyPatch):
    """An operator's machine may stand behind anything."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")

    assert trusted(Session()) is None


def test_an_endpoint_of_a_configuration_file_leaves_the_choice_to_botocore(monkeypatch: pytest.MonkeyPatch):
    """Of the profile that is used."""
    Path(Session().get_config_variable("config_file")).write_text("[default]\nendpoint_url = https://aws.example\n")

    assert trusted(Session()) is None


def test_the_clients_use_what_is_trusted():
    """Each connection reads that file."""
    client = Clients(settings_of(())).of("sqs")

    assert client._endpoint.http_session._verify == str(AMAZON_ROOTS)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # Starfield's is zero
def test_the_file_has_amazon_s_roots_as_certifi_has_them():
    """Amazon Root CA 1 to 4, and Starfield's that cross-signs them."""
    ours, known = certificates(AMAZON_ROOTS), certificates(certifi.where())

    assert set(ours) <= set(known)
    assert sorted(map(name_of, ours)) == [
        *(f"Amazon Root CA {number}" for number in (1, 2, 3, 4)),
        "Starfield Services Root Certificate Authority - G2",
    ]


def certificates(file: Path | str) -> list[bytes]:
    """Each as its bytes; some of certifi's cannot be read any further."""
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", Path(file).read_text(), re.DOTALL)
    return [ssl.PEM_cert_to_DER_cert(block) for block in blocks]


def name_of(certificate: bytes) -> str:
    subject = x509.load_der_x509_certificate(certificate).subject
    (name,) = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)
