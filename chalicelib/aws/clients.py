"""The connections to AWS: one botocore session and its low-level clients, each made once and one after the other.

Endpoint, region and credentials come from the standard `AWS_*` environment, which botocore reads itself. Parameters are
not checked here: the services check them, and botocore's check costs as much as the call's own serialisation. The set
user agent spares building one, piece by piece, for each request.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from chalicelib.errors import Code, Misconfigured
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient


_MODEL_SECONDS = 100


class Clients:
    """One client for each service that the engine calls; each may be used by several threads."""

    def __init__(self, settings: Settings) -> None:
        self._config = Config(
            connect_timeout=settings.aws_connect_timeout_seconds,
            read_timeout=settings.aws_read_timeout_seconds,
            retries={"total_max_attempts": settings.aws_tries, "mode": "standard"},
            parameter_validation=False,
            tcp_keepalive=True,
            user_agent="replies-engine",
        )
        # An attachment takes longer to be kept than a row. Its checksum is the one that signs the request, so that its
        # content goes out in small pieces as it is and each is checked against the clock.
        self._patient = self._config.merge(
            Config(
                read_timeout=settings.bucket_read_timeout_seconds,
                request_checksum_calculation="when_required",
                s3={"payload_signing_enabled": True},
            )
        )
        # A model thinks: two tries fit into the worker's timeout.
        self._thinking = self._config.merge(Config(read_timeout=_MODEL_SECONDS))
        self._session = Session()
        self._making = threading.Lock()  # a session makes one client at a time
        self._made: dict[str, BaseClient] = {}

    def of(self, service: str) -> BaseClient:
        """The client of a service, as botocore names it; making it sends nothing.

        Raises:
            Misconfigured: `CONFIGURATION_ERROR`; no region, half a pair of credentials, an endpoint that is no URL.
        """
        with self._making:
            if service not in self._made:
                config = {"s3": self._patient, "bedrock-runtime": self._thinking}.get(service, self._config)
                try:
                    self._made[service] = self._session.create_client(service, config=config)
                except (BotoCoreError, ValueError) as error:
                    raise Misconfigured(
                        Code.CONFIGURATION_ERROR, f"no client for AWS can be made: {type(error).__name__}"
                    ) from error
            return self._made[service]
