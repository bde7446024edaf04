"""The connections to AWS: one botocore session and its low-level clients. Each is made once, one after the other.

Endpoint, region and credentials come from the standard `AWS_*` environment, which botocore reads itself. Parameters are
not checked here: the services check them, and botocore's check costs as much as the call's own serialisation. The fixed
user agent saves botocore building one for each request.

On Lambda the clients trust only Amazon's own certificate authorities. Reading certifi's whole bundle costs about 17 ms
of processor time for each new connection. botocore's own choice stands where another authority may sign: in another
partition, behind a proxy, at a configured endpoint, or with a configured bundle.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import getproxies

from botocore.config import Config
from botocore.exceptions import BotoCoreError, UnknownRegionError
from botocore.session import Session

from chalicelib.aws import plain_json
from chalicelib.errors import Code, Misconfigured
from chalicelib.settings import SWEEP_THREADS, Settings
from chalicelib.settings.process import is_on_lambda, names_aws_endpoint

if TYPE_CHECKING:
    from botocore.client import BaseClient


AMAZON_ROOTS = Path(__file__).with_name("amazon_roots.pem")
_MODEL_SECONDS = 100


class Clients:
    """One client for each service that the engine calls; each may be used by several threads."""

    def __init__(self, settings: Settings) -> None:
        self._config = Config(
            connect_timeout=settings.aws_connect_timeout_seconds,
            read_timeout=settings.aws_read_timeout_seconds,
            retries={"total_max_attempts": settings.aws_tries, "mode": "standard"},
            max_pool_connections=SWEEP_THREADS,  # each thread of a sweep keeps its connection
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
        self._verify: str | None = None
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
                    self._verify = self._verify or trusted(self._session)
                    client = self._session.create_client(service, config=config, verify=self._verify)
                except (BotoCoreError, ValueError) as error:
                    raise Misconfigured(
                        Code.CONFIGURATION_ERROR, f"no client for AWS can be made: {type(error).__name__}"
                    ) from error
                plain_json.speak(client, service)
                self._made[service] = client
            return self._made[service]


def trusted(session: Session) -> str | None:
    """The file of the certificate authorities that may sign AWS's endpoints; None: botocore chooses."""
    is_ours_to_choose = (
        is_on_lambda()
        and _partition(session) == "aws"
        and not session.get_config_variable("ca_bundle")
        and not names_aws_endpoint()
        and not session.get_scoped_config().keys() & {"endpoint_url", "services"}
        and "https" not in getproxies()
    )
    return str(AMAZON_ROOTS) if is_ours_to_choose else None


def _partition(session: Session) -> str | None:
    """The partition of the session's region; None: no region is told, or botocore does not know it."""
    region = session.get_config_variable("region")
    try:
        return str(session.get_partition_for_region(region)) if region else None
    except UnknownRegionError:
        return None
