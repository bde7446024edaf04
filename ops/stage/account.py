"""The operator's connection to AWS: the one place here that knows botocore.

Calls go through the engine's own `Service`, so that what AWS answers is told in the same words: `TryAgain`,
`Misconfigured`, and AWS's error code as a value where a command has asked for it. Time-outs are those of a person who
waits at a terminal, not those of a webhook.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.sqs import SqsQueue
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain
from infrastructure.account import NO_RIGHT, NOT_TAKEN
from ops.stage.target import CommandError, Target

if TYPE_CHECKING:
    from botocore.client import BaseClient

_CONFIG = ClientConfig(
    connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 4, "mode": "standard"}, user_agent_extra="ops"
)
NO_QUEUE = frozenset({"NonExistentQueue", "QueueDoesNotExist"})
"""What SQS says of a queue that is not there, by its older protocol and its newer one."""

NOT_FOUND = frozenset({"ResourceNotFoundException"})
"""What DynamoDB, Lambda, EventBridge, CloudWatch Logs and Secrets Manager say of what is not there."""

_NO_RIGHT = NO_RIGHT | {"KmsAccessDenied"}
_NO_CREDENTIALS = NOT_TAKEN | {
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
"""What AWS says of credentials that it does not take, and its library of those that are not there."""

_UNREACHABLE = frozenset(
    {"ConnectTimeoutError", "ConnectionClosedError", "EndpointConnectionError", "ProxyConnectionError"}
)


@dataclass(frozen=True)
class Account:
    """One account in one region, as one profile may see it."""

    target: Target
    session: Session
    _services: dict[str, Service] = field(default_factory=dict, repr=False)

    @classmethod
    def connect(cls, target: Target) -> Account:
        """The account that `where` names; sends nothing.

        Raises:
            CommandError: no such profile, or no region.
        """
        try:
            session = Session(profile=target.profile)
            if target.region:
                session.set_config_variable("region", target.region)
            if target.key:
                session.set_credentials(target.key, target.key)
            region = session.get_config_variable("region")
        except BotoCoreError as error:
            raise CommandError(f"there is no profile {target.profile!r}", "aws configure list-profiles") from error
        if region is None:
            raise CommandError("no region is named", f"the same command with --region, for stage {target.stage}")
        return cls(target, session)

    @property
    def region(self) -> str:
        return str(self.session.get_config_variable("region"))

    def call(
        self, service: str, operation: str, resource: str, request: Mapping[str, Any], *, absent: Collection[str] = ()
    ) -> dict[str, Any] | None:
        """The answer to one call; None where AWS answers one of these error codes, for the resource is not there.

        Raises:
            EngineError: what else AWS answered; see `as_command_error`.
        """
        try:
            return self.service(service).call(operation, resource, request, deadline=None)
        except Misconfigured as error:
            if aws_code(error) in absent:
                return None
            raise

    def pages(
        self,
        service: str,
        operation: str,
        resource: str,
        request: Mapping[str, Any],
        *,
        token: tuple[str, str] = ("NextToken", "NextToken"),
    ) -> Iterator[dict[str, Any]]:
        """The answers to one call, page by page; `token`: what an answer calls the next page, and what a request does.

        Raises:
            EngineError: what AWS answered; see `as_command_error`.
        """
        told, asked = token
        next_page: dict[str, Any] = {}
        while True:
            answer = self.call(service, operation, resource, {**request, **next_page}) or {}
            yield answer
            if not answer.get(told):
                return
            next_page = {asked: answer[told]}

    def service(self, name: str) -> Service:
        """One service of AWS, its client made on first use."""
        if name not in self._services:
            client = self.session.create_client(name, endpoint_url=self.target.endpoint_url, config=_CONFIG)
            self._services[name] = Service(client, Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR)
        return self._services[name]

    @property
    def clients(self) -> Clients:
        """The engine's clients, with an operator's patience."""
        return OperatorClients(self)

    def table(self, name: str) -> DynamoTable:
        """A table that the engine's own `Tables` do not name."""
        return DynamoTable(self.service("dynamodb"), name)

    def queue(self, name: str) -> SqsQueue:
        """A queue by its name."""
        return SqsQueue(self.service("sqs"), name)


def aws_code(error: EngineError) -> str:
    """What AWS, or its library, calls an error."""
    return error.detail.rpartition(": ")[2]


def as_command_error(error: EngineError, target: Target) -> CommandError:
    """What an error of AWS means to the person at the terminal, and what to do about it."""
    call, code = error.detail.rpartition(": ")[0], aws_code(error)
    if code in _NO_RIGHT:
        return CommandError(
            f"the credentials have no right to {call}", "a profile that has it: --profile (docs/ops.md)"
        )
    if code in _NO_CREDENTIALS:
        return CommandError(f"AWS does not accept the credentials ({code})", "aws configure, or another --profile")
    if code in _UNREACHABLE:
        at = target.endpoint_url or "AWS"
        return CommandError(
            f"no server answers at {at}", "make run" if target.is_on_this_machine else "--endpoint-url, --region"
        )
    if isinstance(error, TryAgain):
        return CommandError(f"not now: {error.detail}", "the same command once more; it is safe to repeat")
    return CommandError(error.detail, target.ops("doctor"))


class OperatorClients(Clients):
    """The clients of one account; see `chalicelib.aws.clients.Clients`."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def of(self, service: str) -> BaseClient:
        return self._account.service(service).client
