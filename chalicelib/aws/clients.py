"""The connections to AWS: one botocore session and its low-level clients, made once and one after the other.

Endpoint, region and credentials come from the standard `AWS_*` environment, which botocore reads itself. Parameters are
not checked here: DynamoDB, SQS and Secrets Manager check them, and botocore's check costs as much as the call's own
serialisation. The set user agent spares building one, piece by piece, for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from chalicelib.errors import Code, Misconfigured
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient


@dataclass(frozen=True)
class Clients:
    """One client for each service that the engine calls; each may be used by several threads."""

    dynamodb: BaseClient
    sqs: BaseClient
    secrets: BaseClient

    @classmethod
    def connect(cls, settings: Settings) -> Clients:
        """The clients for `settings`; sends nothing.

        Raises:
            Misconfigured: `CONFIGURATION_ERROR`; no region, half a pair of credentials, an endpoint that is no URL.
        """
        config = Config(
            connect_timeout=settings.aws_connect_timeout_seconds,
            read_timeout=settings.aws_read_timeout_seconds,
            retries={"total_max_attempts": settings.aws_tries, "mode": "standard"},
            parameter_validation=False,
            tcp_keepalive=True,
            user_agent="replies-engine",
        )
        session = Session()
        try:
            return cls(
                dynamodb=session.create_client("dynamodb", config=config),
                sqs=session.create_client("sqs", config=config),
                secrets=session.create_client("secretsmanager", config=config),
            )
        except (BotoCoreError, ValueError) as error:
            raise Misconfigured(
                Code.CONFIGURATION_ERROR, f"no client for AWS can be made: {type(error).__name__}"
            ) from error
