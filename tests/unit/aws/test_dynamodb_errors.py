"""What the engine is told when a call to AWS fails: who must act, and whether the call may have been applied."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from botocore import exceptions as faults

from chalicelib.aws.calls import Service
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import BATCH_CALLS_MAX, DynamoTable
from chalicelib.aws.secrets import SecretsManager
from chalicelib.aws.sqs import SqsQueue
from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.ports.tables import Attr, Change, Read, Refused
from chalicelib.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.wire import Answer, Wire

KEY = {"conversation_id": "c1"}
URL = "https://example.test"

OK = Answer(200)
THROTTLED = Answer.error(400, "ThrottlingException")
BROKEN = Answer.error(500, "InternalServerError")
TIMED_OUT = faults.ReadTimeoutError(endpoint_url=URL)
NO_CONNECTION = faults.EndpointConnectionError(endpoint_url=URL)


def settings(**variables: str) -> Settings:
    required = [one.name.upper() for one in fields(Settings) if one.metadata["default"] is None]
    return Settings.from_environment(dict.fromkeys(required, "x") | variables)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials and a region, and no waiting between tries."""
    _set_credentials(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return monkeypatch


def _set_credentials(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture(scope="class")
def clients() -> Clients:
    """Made once for a class, since they take a while; not for more, since a client's retries are rationed."""
    with pytest.MonkeyPatch.context() as patch:
        _set_credentials(patch)
        return Clients(settings(AWS_TRIES="2"))


@pytest.fixture
def table(clients: Clients) -> DynamoTable:
    return DynamoTable(Service(clients.of("dynamodb"), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR), "locks")


@pytest.fixture
def queue(clients: Clients) -> SqsQueue:
    return SqsQueue(Service(clients.of("sqs"), Code.QUEUE_ERROR, Code.QUEUE_ERROR), "triggers")


@pytest.fixture
def secrets(clients: Clients) -> SecretsManager:
    return SecretsManager(
        Service(clients.of("secretsmanager"), Code.SECRET_FETCH_TRANSIENT_ERROR, Code.SECRET_FETCH_FAILED)
    )


class TestWhoMustAct:
    @pytest.mark.parametrize(
        "code",
        [
            "ThrottlingException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "TransactionConflictException",
            "ExpiredTokenException",
        ],
    )
    def test_what_is_refused_for_the_moment_may_be_tried_again_and_did_not_happen(
        self, table: DynamoTable, clients: Clients, code: str
    ):
        """Throttled, or with credentials that have just expired."""
        Wire(clients.of("dynamodb"), Answer.error(400, code), Answer.error(400, code))

        with pytest.raises(TryAgain) as told:
            table.put(KEY)

        assert (told.value.code, told.value.maybe_applied) == (Code.DB_TRANSIENT_ERROR, False)
        assert told.value.detail == f"PutItem locks: {code}"

    @pytest.mark.parametrize(
        "fault",
        [
            NO_CONNECTION,
            faults.ConnectTimeoutError(endpoint_url=URL),
            faults.ProxyConnectionError(proxy_url=URL),
            faults.CredentialRetrievalError(provider="container", error_msg="timed out"),
        ],
        ids=lambda fault: type(fault).__name__,
    )
    def test_what_never_left_may_be_tried_again_and_did_not_happen(
        self, table: DynamoTable, clients: Clients, fault: Exception
    ):
        """No connection on any try."""
        Wire(clients.of("dynamodb"), fault, fault)

        with pytest.raises(TryAgain) as told:
            table.put(KEY)

        assert told.value.maybe_applied is False
        assert told.value.detail == f"PutItem locks: {type(fault).__name__}"
        assert told.value.__cause__ is fault

    @pytest.mark.parametrize(
        "fault",
        [
            BROKEN,
            Answer.error(503, "ServiceUnavailable"),
            Answer.error(502, "UnknownError"),
            TIMED_OUT,
            faults.ConnectionClosedError(endpoint_url=URL),
            faults.SSLError(endpoint_url=URL, error="closed amid a record"),
            faults.HTTPClientError(error="broken pipe"),
        ],
        ids=lambda fault: type(fault).__name__ if isinstance(fault, Exception) else str(fault.status),
    )
    def test_what_was_sent_and_not_answered_may_have_happened(
        self, table: DynamoTable, clients: Clients, fault: Answer | Exception
    ):
        """A timeout is an unknown outcome, not a failure."""
        Wire(clients.of("dynamodb"), fault, fault)

        with pytest.raises(TryAgain) as told:
            table.put(KEY)

        assert (told.value.code, told.value.maybe_applied) == (Code.DB_TRANSIENT_ERROR, True)

    @pytest.mark.parametrize(
        "code",
        [
            "ResourceNotFoundException",
            "AccessDeniedException",
            "ValidationException",
            "UnrecognizedClientException",
            "SerializationException",
        ],
    )
    def test_what_a_retry_does_not_mend_is_our_fault(self, table: DynamoTable, clients: Clients, code: str):
        """The detail names the operation, the table and AWS's code: no key, no value, none of AWS's words."""
        Wire(clients.of("dynamodb"), Answer.error(400, code))

        with pytest.raises(Misconfigured) as told:
            table.put(KEY | {"body": "a message"})

        assert (told.value.code, told.value.detail) == (Code.DB_QUERY_ERROR, f"PutItem locks: {code}")

    def test_missing_credentials_are_our_fault(self, environment: pytest.MonkeyPatch):
        """Nothing is sent."""
        environment.delenv("AWS_ACCESS_KEY_ID")
        clients = Clients(settings())
        table = DynamoTable(Service(clients.of("dynamodb"), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR), "locks")

        with pytest.raises(Misconfigured) as told:
            table.get(KEY)

        assert told.value.detail in ("GetItem locks: NoCredentialsError", "GetItem locks: PartialCredentialsError")

    @pytest.mark.parametrize(("variable", "value"), [("AWS_DEFAULT_REGION", ""), ("AWS_ENDPOINT_URL", "no url at all")])
    def test_no_client_is_made_without_a_region_or_for_an_endpoint_that_is_none(
        self, environment: pytest.MonkeyPatch, variable: str, value: str
    ):
        """`CONFIGURATION_ERROR`, before anything is called."""
        environment.setenv(variable, value)

        with pytest.raises(Misconfigured) as told:
            Clients(settings()).of("dynamodb")

        assert told.value.code == Code.CONFIGURATION_ERROR


class TestTriesOfOneCall:
    @pytest.mark.parametrize("last", [THROTTLED, NO_CONNECTION], ids=["throttled", "no connection"])
    @pytest.mark.parametrize("first", [TIMED_OUT, BROKEN], ids=["timed out", "broken"])
    def test_a_call_may_have_happened_if_any_of_its_tries_may(
        self, table: DynamoTable, clients: Clients, first: Answer | Exception, last: Answer | Exception
    ):
        """An error of botocore describes its last try only; the one before is noted."""
        Wire(clients.of("dynamodb"), first, last)

        with pytest.raises(TryAgain) as told:
            table.put(KEY)

        assert told.value.maybe_applied is True

    def test_a_doubt_of_one_call_does_not_outlive_it(self, table: DynamoTable, clients: Clients):
        """The next call starts without any."""
        Wire(clients.of("dynamodb"), TIMED_OUT, OK, THROTTLED, THROTTLED)
        table.put(KEY)

        with pytest.raises(TryAgain) as told:
            table.put(KEY)

        assert told.value.maybe_applied is False

    def test_a_second_try_may_be_refused_by_the_write_of_the_first(self, table: DynamoTable, clients: Clients):
        """The row that comes with the refusal tells the caller that it is its own."""
        row = {"conversation_id": {"S": "c1"}, "trigger_id": {"S": "ours"}}
        refusal = Answer.error(400, "ConditionalCheckFailedException", Item=row)
        Wire(clients.of("dynamodb"), TIMED_OUT, refusal)

        answer = table.put(KEY | {"trigger_id": "ours"}, when=Attr("conversation_id").missing())

        assert answer == Refused({"conversation_id": "c1", "trigger_id": "ours"})

    def test_a_call_is_tried_as_often_as_the_settings_say(self):
        """The first try included."""
        clients = Clients(settings(AWS_TRIES="3"))
        table = DynamoTable(Service(clients.of("dynamodb"), Code.DB_TRANSIENT_ERROR, Code.DB_QUERY_ERROR), "locks")
        wire = Wire(clients.of("dynamodb"), TIMED_OUT, TIMED_OUT, TIMED_OUT, OK)

        with pytest.raises(TryAgain):
            table.put(KEY)

        assert len(wire.requests) == 3


class TestBatches:
    KEYS = tuple({"conversation_id": f"c{number}"} for number in range(26))

    def test_writes_left_over_are_sent_again(self, table: DynamoTable, clients: Clients):
        """Until none is left."""
        left_over = {"locks": [{"PutRequest": {"Item": {"conversation_id": {"S": "c2"}}}}]}
        wire = Wire(clients.of("dynamodb"), Answer(200, {"UnprocessedItems": left_over}), OK)

        table.put_many(self.KEYS[:3])

        assert wire.requests[1] == {"RequestItems": left_over}

    def test_reads_left_over_are_sent_again(self, table: DynamoTable, clients: Clients):
        """The answer is whole."""
        left_over = {"locks": {"Keys": [{"conversation_id": {"S": "c1"}}], "ConsistentRead": True}}
        row = {"conversation_id": {"S": "c1"}}
        wire = Wire(
            clients.of("dynamodb"),
            Answer(200, {"Responses": {}, "UnprocessedKeys": left_over}),
            Answer(200, {"Responses": {"locks": [row]}}),
        )

        rows = table.get_together([Read(table, KEY)])

        assert rows == [KEY]
        assert wire.requests[1] == {"RequestItems": left_over}

    def test_a_batch_that_is_never_finished_is_given_back(self, table: DynamoTable, clients: Clients):
        """After a bounded number of calls; it happened in part."""
        left_over = {"locks": [{"DeleteRequest": {"Key": {"conversation_id": {"S": "c1"}}}}]}
        wire = Wire(clients.of("dynamodb"), *[Answer(200, {"UnprocessedItems": left_over})] * BATCH_CALLS_MAX)

        with pytest.raises(TryAgain) as told:
            table.delete_many(self.KEYS[:1])

        assert told.value.maybe_applied is True
        assert len(wire.requests) == BATCH_CALLS_MAX

    def test_reads_that_are_never_finished_are_given_back(self, table: DynamoTable, clients: Clients):
        """After a bounded number of calls."""
        left_over = {"locks": {"Keys": [{"conversation_id": {"S": "c1"}}], "ConsistentRead": True}}
        answer = Answer(200, {"Responses": {}, "UnprocessedKeys": left_over})
        wire = Wire(clients.of("dynamodb"), *[answer] * BATCH_CALLS_MAX)

        with pytest.raises(TryAgain):
            table.get_together([Read(table, KEY)])

        assert len(wire.requests) == BATCH_CALLS_MAX

    def test_many_writes_of_which_the_first_happened_may_have_happened(self, table: DynamoTable, clients: Clients):
        """Though the last call of them certainly did not."""
        Wire(clients.of("dynamodb"), OK, THROTTLED, THROTTLED)

        with pytest.raises(TryAgain) as told:
            table.put_many(self.KEYS)

        assert told.value.maybe_applied is True


class TestRequests:
    def test_names_and_values_stand_behind_placeholders(self, table: DynamoTable, clients: Clients):
        """The same name behind the same one, in the change and in the condition."""
        wire = Wire(clients.of("dynamodb"), OK)

        table.update(KEY, Change(set={"status": "new"}), when=Attr("status").eq("old"), read_back=True)

        assert wire.requests == [
            {
                "TableName": "locks",
                "Key": {"conversation_id": {"S": "c1"}},
                "UpdateExpression": "SET #0 = :0",
                "ConditionExpression": "#0 = :1",
                "ExpressionAttributeNames": {"#0": "status"},
                "ExpressionAttributeValues": {":0": {"S": "new"}, ":1": {"S": "old"}},
                "ReturnValues": "ALL_NEW",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        ]

    def test_rows_are_read_consistently_unless_less_is_asked_for_and_indexes_as_they_can_be(
        self, table: DynamoTable, clients: Clients
    ):
        """DynamoDB refuses a consistent read of an index, and takes half for a read that need not be consistent."""
        nothing = Answer(200, {"Items": [], "ScannedCount": 0})
        wire = Wire(clients.of("dynamodb"), OK, OK, nothing, nothing, nothing)

        table.get(KEY)
        table.get(KEY, is_consistent=False)
        list(table.query(("a", "b")))
        table.scan()
        list(table.query(("a", "b"), index="i"))

        assert [request.get("ConsistentRead") for request in wire.requests] == [True, False, True, True, None]


class TestQueue:
    URL = Answer(200, {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/triggers"})

    def test_the_queue_is_looked_up_once(self, queue: SqsQueue, clients: Clients):
        """Its URL is kept for the process."""
        wire = Wire(clients.of("sqs"), self.URL, OK, OK)

        queue.send("a", group="acme")
        queue.send("b", group="acme")

        assert ["QueueName" in request for request in wire.requests] == [True, False, False]

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({}, "QueueDoesNotExist"),
            ({"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}, "NonExistentQueue"),
        ],
        ids=["today", "as the older protocol says"],
    )
    def test_a_queue_that_does_not_exist_is_our_fault_and_named(
        self, queue: SqsQueue, clients: Clients, headers: dict[str, str], code: str
    ):
        """SQS tells two codes; botocore takes the older one where it comes."""
        Wire(clients.of("sqs"), replace(Answer.error(400, "QueueDoesNotExist"), headers=headers))

        with pytest.raises(Misconfigured) as told:
            queue.send("a", group="acme")

        assert told.value.code == Code.QUEUE_ERROR
        assert told.value.detail == f"GetQueueUrl triggers: {code}"

    def test_a_queue_that_was_deleted_is_looked_up_again(self, queue: SqsQueue, clients: Clients):
        """It may have been made anew."""
        wire = Wire(clients.of("sqs"), self.URL, Answer.error(400, "QueueDoesNotExist"), self.URL, OK)
        with pytest.raises(Misconfigured):
            queue.send("a", group="acme")

        queue.send("a", group="acme")

        assert ["QueueName" in request for request in wire.requests] == [True, False, True, False]

    def test_a_message_whose_queue_could_not_be_looked_up_was_not_sent(self, queue: SqsQueue, clients: Clients):
        """However the look-up ended."""
        Wire(clients.of("sqs"), TIMED_OUT, TIMED_OUT)

        with pytest.raises(TryAgain) as told:
            queue.send("a", group="acme")

        assert (told.value.code, told.value.maybe_applied) == (Code.QUEUE_ERROR, False)

    def test_a_message_without_an_answer_may_have_been_sent(self, queue: SqsQueue, clients: Clients):
        """A spare trigger is harmless, a missing one is not: the caller must know."""
        Wire(clients.of("sqs"), self.URL, TIMED_OUT, TIMED_OUT)

        with pytest.raises(TryAgain) as told:
            queue.send("a", group="acme")

        assert told.value.maybe_applied is True

    @pytest.mark.parametrize("headers", [{}, {"x-amzn-query-error": "KMS.ThrottlingException;Sender"}], ids=repr)
    def test_a_throttled_key_of_the_queue_is_the_worlds_fault(
        self, queue: SqsQueue, clients: Clients, headers: dict[str, str]
    ):
        """A queue may be encrypted with a key of the company's own."""
        throttled = replace(Answer.error(400, "KmsThrottled"), headers=headers)
        Wire(clients.of("sqs"), self.URL, throttled, throttled)

        with pytest.raises(TryAgain) as told:
            queue.send("a", group="acme")

        assert told.value.maybe_applied is False


class TestSecrets:
    def test_a_secret_is_its_text(self, secrets: SecretsManager, clients: Clients):
        """Of the current version."""
        wire = Wire(clients.of("secretsmanager"), Answer(200, {"SecretString": '{"auth_token": "t"}'}))

        text = secrets.fetch("acme-credentials")

        assert text == '{"auth_token": "t"}'
        assert wire.requests == [{"SecretId": "acme-credentials"}]

    @pytest.mark.parametrize(
        ("answer", "end"),
        [
            (Answer.error(400, "ResourceNotFoundException"), "ResourceNotFoundException"),
            (Answer.error(400, "AccessDeniedException"), "AccessDeniedException"),
            (Answer.error(400, "DecryptionFailure"), "DecryptionFailure"),
            (Answer.error(400, "InvalidRequestException"), "InvalidRequestException"),
            (Answer(200, {"SecretBinary": "AAEC"}), "a binary secret, and text is expected"),
        ],
        ids=["missing", "denied", "not decrypted", "being deleted", "binary"],
    )
    def test_a_secret_that_cannot_be_had_is_our_fault_and_named(
        self, secrets: SecretsManager, clients: Clients, answer: Answer, end: str
    ):
        """By its reference, never by its content."""
        Wire(clients.of("secretsmanager"), answer)

        with pytest.raises(Misconfigured) as told:
            secrets.fetch("acme-credentials")

        assert told.value.code == Code.SECRET_FETCH_FAILED
        assert told.value.detail == f"GetSecretValue acme-credentials: {end}"

    @pytest.mark.parametrize("fault", [THROTTLED, BROKEN, TIMED_OUT, NO_CONNECTION], ids=repr)
    def test_a_secret_that_cannot_be_had_for_the_moment_may_be_tried_again(
        self, secrets: SecretsManager, clients: Clients, fault: Answer | Exception
    ):
        """So that the provider is asked for a retry."""
        Wire(clients.of("secretsmanager"), fault, fault)

        with pytest.raises(TryAgain) as told:
            secrets.fetch("acme-credentials")

        assert told.value.code == Code.SECRET_FETCH_TRANSIENT_ERROR

    def test_after_the_deadline_no_secret_is_fetched(self, secrets: SecretsManager, clients: Clients):
        """The call is named, and nothing is sent."""
        wire = Wire(clients.of("secretsmanager"))
        late = secrets.within(Deadline.after(FakeClock(), 0))

        with pytest.raises(TryAgain) as told:
            late.fetch("acme-credentials")

        assert told.value.code == Code.SECRET_FETCH_TRANSIENT_ERROR
        assert wire.requests == []
