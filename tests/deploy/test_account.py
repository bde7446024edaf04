"""Whatever AWS refuses is told in one line, with the command that mends it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound
from chalice.deploy.deployer import ChaliceDeploymentError

from infrastructure.account import Account, DeploymentError, in_one_line
from tests.deploy.conftest import AGAIN


@pytest.fixture(autouse=True)
def _shell_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests have left in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def refusal(code: str, message: str = "No.") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateStack")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refusal("AccessDenied"), "the credentials may not CreateStack: grant it to them"),
        (refusal("AccessDeniedException"), "the credentials may not CreateStack: grant it to them"),
        (refusal("ExpiredToken"), "AWS does not take the shell's credentials (ExpiredToken): sign in"),
        (refusal("UnrecognizedClientException"), "(UnrecognizedClientException): sign in"),
        (refusal("LimitExceeded", "Too\n many."), "CreateStack was refused (LimitExceeded: Too many.): fix that"),
        (NoCredentialsError(), "the shell's AWS credentials are missing or incomplete: sign in"),
        (ProfileNotFound(profile="prod"), "the shell's AWS credentials are missing or incomplete: sign in"),
        (EndpointConnectionError(endpoint_url="https://x"), "AWS did not answer"),
        (ChaliceDeploymentError(refusal("AccessDenied")), "the credentials may not CreateStack"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_error_is_one_line_that_names_what_is_missing_and_what_mends_it(error: Exception, told: str):
    """Chalice's own wrapping is taken off first."""
    with pytest.raises(DeploymentError) as obstacle, in_one_line(AGAIN):
        raise error

    assert told in obstacle.value.message
    assert f"`{AGAIN}`" in obstacle.value.message
    assert "\n" not in obstacle.value.message


def test_an_error_that_is_none_of_aws_s_is_left_alone():
    """A mistake of ours shows where it is."""
    with pytest.raises(KeyError), in_one_line(AGAIN):
        raise KeyError("ours")


def test_a_shell_without_a_region_is_told_how_to_name_one(monkeypatch: pytest.MonkeyPatch):
    """No region is guessed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    with pytest.raises(DeploymentError, match=f"tells no region: `AWS_DEFAULT_REGION=eu-west-1 {AGAIN}`"):
        Account.of_shell(AGAIN)


def test_a_shell_without_credentials_is_told_to_sign_in(monkeypatch: pytest.MonkeyPatch):
    """Before anything is sent."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    with pytest.raises(DeploymentError, match="credentials are missing or incomplete: sign in"):
        Account.of_shell(AGAIN)


def test_the_region_is_the_shell_s(monkeypatch: pytest.MonkeyPatch):
    """And every client's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-2")

    account = Account.of_shell(AGAIN)

    assert account.region == account.client("sqs").meta.region_name == "ap-southeast-2"
