"""One call to AWS: its deadline, its tries, and what its failure means to the engine.

Guarantee: no botocore error leaves this folder. `TryAgain` says whether the call may have been applied, over all of
botocore's own tries of it. `Misconfigured` names the operation, the resource and AWS's error code, and no values.

    botocore's result                                      the engine's error
    refused before it could happen (throttled)             TryAgain, not applied
    never left this machine (no connection)                TryAgain, not applied
    expired credentials                                    TryAgain, not applied
    sent, and no answer (timeout, closed, 5xx)             TryAgain, maybe applied
    one of the first three after a try of the fourth sort  TryAgain, maybe applied
    anything else (no such table, no right, malformed)     Misconfigured
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NotConnectedError
from botocore.parsers import ResponseParserError

from chalicelib.clock import Deadline
from chalicelib.errors import Code, EngineError, Misconfigured, TryAgain

if TYPE_CHECKING:
    from botocore.client import BaseClient

# Refused before anything happened.
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "KmsThrottled",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_TOO_MANY_REQUESTS = 429

# Answers after which the call may have been applied all the same; every HTTP status from 500 is one too.
_IN_DOUBT = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
_SERVER_ERROR = 500

# Sent, and the answer did not come or could not be read. A TLS error may come after the request has left.
_ANSWER_LOST = (HTTPClientError, SSLError, IncompleteReadError, ChecksumError, ResponseParserError)
# Nothing was sent: no connection, or no credentials for the moment.
_NOT_SENT = (NotConnectedError, CredentialRetrievalError, MetadataRetrievalError)


class _Tries(threading.local):
    """Whether one of botocore's tries of this thread's current call ended in doubt."""

    in_doubt = False


_tries = _Tries()


@dataclass(frozen=True)
class Service:
    """One AWS service as the engine calls it: its client, and the codes under which its failures are told."""

    client: BaseClient
    transient: Code
    """What the world must mend."""
    permanent: Code
    """What we must mend."""

    def __post_init__(self) -> None:
        # Registering the same function twice is the same as once; botocore calls it after each of its tries.
        self.client.meta.events.register("needs-retry", _note_try, unique_id="replies-engine-tries")

    def call(
        self,
        operation: str,
        resource: str,
        request: Mapping[str, Any],
        *,
        deadline: Deadline | None,
        refusal: str | None = None,
    ) -> dict[str, Any]:
        """The answer to one call.

        Args:
            operation: as AWS spells it, such as `GetItem`.
            resource: the table, queue or secret, to be named in errors.
            request: the operation's parameters, which botocore does not check.
            deadline: after it nothing is sent.
            refusal: an AWS error code that is an answer to this call; the answer then has `Error`.

        Raises:
            TryAgain: with the code `transient`.
            Misconfigured: with the code `permanent`.
        """
        if deadline is not None:
            deadline.check(f"{operation} {resource}", self.transient)
        _tries.in_doubt = False
        try:
            answer: dict[str, Any] = getattr(self.client, xform_name(operation))(**request)
        except ClientError as error:
            if refusal is not None and error_code(error.response) == refusal:
                return dict(error.response)
            raise self.translated(error, operation, resource) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise self.translated(error, operation, resource) from error
        return answer

    def translated(self, error: Exception, operation: str, resource: str) -> EngineError:
        """What `error`, met by a call of `operation` on `resource`, means to the engine."""
        call = f"{operation} {resource}"
        if isinstance(error, ClientError):
            detail = f"{call}: {error_code(error.response)}"
            if _is_in_doubt(error.response):
                return TryAgain(self.transient, detail, maybe_applied=True)
            if _is_refused_for_now(error.response):
                return TryAgain(self.transient, detail, maybe_applied=_tries.in_doubt)
            return Misconfigured(self.permanent, detail)
        detail = f"{call}: {type(error).__name__}"
        if isinstance(error, _ANSWER_LOST):
            return TryAgain(self.transient, detail, maybe_applied=True)
        if isinstance(error, _NOT_SENT):
            return TryAgain(self.transient, detail, maybe_applied=_tries.in_doubt)
        return Misconfigured(self.permanent, detail)


def error_code(response: Mapping[str, Any]) -> str:
    """AWS's error code, without the prefixes of SQS's older protocol and of KMS behind another service."""
    code = str(response.get("Error", {}).get("Code", "no code"))
    return code.removeprefix("AWS.SimpleQueueService.").removeprefix("KMS.")


def _is_in_doubt(response: Mapping[str, Any]) -> bool:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(response) in _IN_DOUBT or (
        status >= _SERVER_ERROR and error_code(response) not in _THROTTLED | _EXPIRED
    )


def _is_refused_for_now(response: Mapping[str, Any]) -> bool:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status == _TOO_MANY_REQUESTS or error_code(response) in _THROTTLED | _EXPIRED


def _note_try(response: Any, caught_exception: Exception | None, **_: Any) -> None:
    """Note what botocore's next try would hide: that this one may have been applied."""
    if isinstance(caught_exception, _ANSWER_LOST):
        _tries.in_doubt = True
    elif response is not None:
        http, parsed = response
        if http.status_code >= _SERVER_ERROR and _is_in_doubt(parsed):
            _tries.in_doubt = True
