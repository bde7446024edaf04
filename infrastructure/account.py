"""The account and the region that the shell's credentials lead to, and what stands in the way told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)
from botocore.session import Session

_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 5, "mode": "standard"})

NO_RIGHT = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
"""What AWS says of a right that the credentials do not have."""

NOT_TAKEN = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, ProfileNotFound, SSOError)

SIGN_IN = "sign in (`aws configure` or `aws sso login`, and AWS_PROFILE)"


class DeploymentError(click.ClickException):
    """Something is missing; the message is one line that names it and the command that mends it."""


@dataclass(frozen=True)
class Account:
    """Where everything happens."""

    session: Session
    region: str

    @classmethod
    def of_shell(cls, again: str) -> Account:
        """The account of the shell's credentials.

        Args:
            again: the command that the user ran.

        Raises:
            DeploymentError: the shell tells no region or no credentials.
        """
        with in_one_line(again):
            session = Session()
            region = session.get_config_variable("region")
            if not region:
                raise NoRegionError
            if session.get_credentials() is None:
                raise NoCredentialsError
            return cls(session, region)

    def client(self, service: str) -> Any:
        """A client of one service."""
        return self.session.create_client(service, region_name=self.region, config=_CONFIG)


@contextmanager
def in_one_line(again: str) -> Iterator[None]:
    """Tell whatever AWS refuses in the block in one line, with the command that mends it.

    Args:
        again: the command that the user ran, which is always safe to run again.

    Raises:
        DeploymentError: in place of an error of botocore's, or of one of Chalice's that wraps one.
    """
    try:
        yield
    except DeploymentError:
        raise
    except Exception as error:
        told = _told(_innermost(error), again)
        if told is None:
            raise
        raise DeploymentError(told) from error


def error_code(error: ClientError) -> str:
    """AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _told(error: BaseException, again: str) -> str | None:
    """The line for an error; None: it is none of AWS's."""
    match error:
        case NoRegionError():
            return f"the shell tells no region: `AWS_DEFAULT_REGION=eu-west-1 {again}`, or another"
        case _ if isinstance(error, _NO_CREDENTIALS):
            return f"the shell's AWS credentials are missing or incomplete: {SIGN_IN}, then `{again}`"
        case ClientError() if error_code(error) in NOT_TAKEN:
            return f"AWS does not take the shell's credentials ({error_code(error)}): {SIGN_IN}, then `{again}`"
        case ClientError() if error_code(error) in NO_RIGHT:
            return f"the credentials may not {error.operation_name}: grant it to them, then `{again}`"
        case ClientError():
            words = " ".join(str(error.response["Error"].get("Message", "")).split())
            return f"{error.operation_name} was refused ({error_code(error)}: {words}): fix that, then `{again}`"
        case BotoCoreError():
            return f"AWS did not answer ({' '.join(str(error).split())}): `{again}` goes on where this ended"
        case _:
            return None


def _innermost(error: BaseException) -> BaseException:
    """What AWS said, behind the errors that Chalice wraps around it."""
    while isinstance(inner := getattr(error, "original_error", None), BaseException):
        error = inner
    return error
