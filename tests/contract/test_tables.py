"""What the engine may rely on of a table: the same for DynamoDB's engines and for the fake that stands for them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.ports.tables import Attr, Change, Compares, Condition, Read, Refused, Table, Written
from tests.contract.engines import Engine
from tests.fakes.clock import FakeClock

LOOK_UP = "company-whatsapp-number-recipient-tel-index"
LOCKED = "conversation-lock-index"
EXISTS = Attr("primary_channel").exists()


@pytest.fixture
def conversations(engine: Engine) -> Table:
    return engine.table("conversations")


@pytest.fixture
def staged(engine: Engine) -> Table:
    return engine.table("conversations-stage")


@pytest.fixture
def locks(engine: Engine) -> Table:
    return engine.table("conversations-trigger-lock")


@pytest.fixture
def key(fresh: str) -> dict[str, str]:
    """A conversation's key that no other test uses."""
    return {"primary_channel": "+15550100", "conversation_id": fresh}


class TestOneRow:
    def test_a_row_comes_back_as_it_was_put(self, conversations: Table, key: dict[str, str]):
        """Strings, numbers, booleans, None, bytes, sets, lists and maps survive; numbers come back as Decimal."""
        row = key | {
            "text": "naïve 👋 \u0000",
            "empty": "",
            "whole": 7,
            "exact": Decimal("0.1234567890123456789012345678901234567"),
            "negative": Decimal("-12.50"),
            "yes": True,
            "nothing": None,
            "raw": b"\x00\xff",
            "names": {"a", "b"},
            "figures": {Decimal(1), Decimal(2)},
            "list": [],
            "map": {},
            "deep": {"list": [1, {"inner": [False, None, ""]}]},
        }

        conversations.put(row)

        assert conversations.get(key) == row

    def test_numbers_come_back_as_decimals_and_booleans_as_booleans(self, conversations: Table, key: dict[str, str]):
        """1 and true are of different types."""
        conversations.put(key | {"number": 1, "flag": True})

        row = conversations.get(key)

        assert row is not None
        assert [type(row["number"]), type(row["flag"])] == [Decimal, bool]

    @pytest.mark.parametrize(
        "number",
        [
            "9" * 38,
            "0." + "1" * 38,
            "1E+125",
            "-1E+125",
            "1E-130",
            "-1E-130",
            "9.9999999999999999999999999999999999999E+125",
        ],
    )
    def test_a_number_of_38_digits_comes_back_exactly(self, conversations: Table, key: dict[str, str], number: str):
        """From 1E-130 to just under 1E+126, on either side of zero."""
        conversations.put(key | {"number": Decimal(number)})

        row = conversations.get(key)

        assert row["number"] == Decimal(number)

    @pytest.mark.parametrize("number", ["1" * 39, "0.1" + "0" * 37 + "1", "1E+126", "-1E+126", "1E-131"])
    def test_a_number_that_is_too_long_too_large_or_too_small_is_refused_for_good(
        self, conversations: Table, key: dict[str, str], number: str
    ):
        """It is not rounded."""
        row = key | {"number": Decimal(number)}

        with pytest.raises(Misconfigured):
            conversations.put(row)

        assert conversations.get(key) is None

    def test_numbers_that_are_equal_are_equal_however_they_are_spelled(self, conversations: Table, key: dict[str, str]):
        """Trailing zeros and exponents are no part of a number."""
        conversations.put(key | {"one": Decimal("1.000"), "thousand": Decimal("1E+3")})

        answer = conversations.put(key, when=Attr("one").eq(1) & Attr("thousand").eq(1_000))

        assert answer == Written({})

    def test_texts_bytes_lists_and_maps_may_be_empty_and_sets_may_not(self, conversations: Table, key: dict[str, str]):
        """An empty value is a value; an empty set has no type, and nothing is sent."""
        empty = {"text": "", "raw": b"", "list": [], "map": {}, "deep": {"list": [""], "map": {"text": ""}}}
        conversations.put(key | empty)

        with pytest.raises(TypeError):
            conversations.put(key | {"names": set()})

        assert conversations.get(key) == key | empty

    def test_a_float_is_a_programming_error(self, conversations: Table, key: dict[str, str]):
        """It would not come back as it went; nothing is sent."""
        row = key | {"ratio": 0.5}

        with pytest.raises(TypeError):
            conversations.put(row)

        assert conversations.get(key) is None

    def test_a_row_that_is_not_there_is_none(self, conversations: Table, key: dict[str, str]):
        """And no error."""
        found = conversations.get(key)

        assert found is None

    def test_a_put_replaces_the_whole_row_and_returns_none_of_it(self, conversations: Table, key: dict[str, str]):
        """Attributes of the row before are gone."""
        conversations.put(key | {"before": 1})

        answer = conversations.put(key | {"after": 2})

        assert answer == Written({})
        assert conversations.get(key) == key | {"after": 2}

    def test_rows_are_copies(self, conversations: Table, key: dict[str, str]):
        """What a caller does to a row that it put or got changes nothing in the table."""
        row = key | {"list": [1]}
        conversations.put(row)

        row["list"].append(2)
        conversations.get(key)["list"].append(3)

        assert conversations.get(key)["list"] == [1]

    def test_a_get_returns_the_attributes_asked_for(self, conversations: Table, key: dict[str, str]):
        """Reserved words, dots, dashes and a leading # or : are names like any other; missing ones are left out."""
        names = {"name": 1, "status": 2, "size": 3, "a.b": 4, "c-d": 5, "#0": 6, ":0": 7}
        conversations.put(key | names | {"other": 8})

        row = conversations.get(key, attributes=[*names, "absent"])

        assert row == names

    def test_a_row_with_none_of_the_attributes_asked_for_is_an_empty_row(
        self, conversations: Table, key: dict[str, str]
    ):
        """And not a missing one."""
        conversations.put(key)

        row = conversations.get(key, attributes=["absent"])

        assert row == {}

    @pytest.mark.parametrize("value", ["", 7, None], ids=["empty", "number", "none"])
    def test_a_key_is_a_text_that_is_not_empty(self, conversations: Table, value: object):
        """Anything else is refused for good."""
        row = {"primary_channel": "+15550100", "conversation_id": value}

        with pytest.raises(Misconfigured) as refused:
            conversations.put(row)

        assert refused.value.code == Code.DB_QUERY_ERROR

    @pytest.mark.parametrize(("name", "bytes_max"), [("primary_channel", 2_048), ("conversation_id", 1_024)])
    def test_a_key_has_its_own_limit(self, conversations: Table, key: dict[str, str], name: str, bytes_max: int):
        """A hash key of 2,048 bytes and a range key of 1,024, in UTF-8; one more is refused for good."""
        longest = "é" * (bytes_max // 2 - len(key[name])) + key[name] * 2
        conversations.put(key | {name: longest})

        with pytest.raises(Misconfigured):
            conversations.put(key | {name: longest + "x"})

        assert conversations.get(key | {name: longest}) == key | {name: longest}

    @pytest.mark.parametrize("value", ["", 7], ids=["empty", "number"])
    def test_a_key_of_an_index_is_missing_or_a_text_that_is_not_empty(
        self, conversations: Table, key: dict[str, str], value: object
    ):
        """A row that an index cannot hold is refused."""
        row = key | {"gsi_recipient_tel": value}

        with pytest.raises(Misconfigured):
            conversations.put(row)

    def test_a_row_over_400_kb_is_refused_for_good(self, conversations: Table, key: dict[str, str]):
        """409,600 bytes are taken and one more is not: names and values count, in UTF-8."""
        names = sum(len(name) + len(value) for name, value in key.items()) + len("body")
        largest = "é" * ((409_600 - names) // 2) + "x" * ((409_600 - names) % 2)
        conversations.put(key | {"body": largest})

        with pytest.raises(Misconfigured) as refused:
            conversations.put(key | {"body": largest + "x"})

        assert refused.value.code == Code.DB_QUERY_ERROR
        assert refused.value.detail.startswith("PutItem conversations-contract")

    def test_an_update_may_not_make_a_row_larger_than_400_kb(self, conversations: Table, key: dict[str, str]):
        """It is refused, and the row stays as it was."""
        conversations.put(key | {"list": ["x" * 400_000]})

        with pytest.raises(Misconfigured):
            conversations.update(key, Change(append={"list": ["y" * 20_000]}), when=EXISTS)

        assert len(conversations.get(key)["list"]) == 1

    def test_a_delete_takes_the_row_away_and_answers_nothing(self, conversations: Table, key: dict[str, str]):
        """Written, without the row."""
        conversations.put(key | {"version": 3})

        answer = conversations.delete(key)

        assert answer == Written({})
        assert conversations.get(key) is None

    def test_to_delete_a_row_that_is_not_there_is_no_error(self, conversations: Table, key: dict[str, str]):
        """Written, with no row."""
        answer = conversations.delete(key)

        assert answer == Written({})

    def test_a_table_may_have_a_hash_key_alone(self, locks: Table, fresh: str):
        """As the trigger locks do."""
        locks.put({"conversation_id": fresh, "trigger_id": "t1"})

        row = locks.get({"conversation_id": fresh})

        assert row == {"conversation_id": fresh, "trigger_id": "t1"}


ROW = {
    "number": 5,
    "text": "b",
    "flag": True,
    "nothing": None,
    "list": [1, 2],
    "map": {"a": 1},
    "empty": [],
    "maps": [{"id": "a"}, {"id": "b", "n": 1}],
    "status": "open",
}


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "is_met"),
        [
            (Attr("number").eq(5), True),
            (Attr("number").eq(Decimal("5.0")), True),
            (Attr("number").eq("5"), False),
            (Attr("number").lt(6), True),
            (Attr("number").lt(5), False),
            (Attr("number").le(5), True),
            (Attr("number").gt(5), False),
            (Compares("number", ">=", 5), True),
            (Attr("number").lt("6"), False),
            (Attr("number").gt("4"), False),
            (Attr("text").lt("c"), True),
            (Attr("text").gt("a"), True),
            (Attr("flag").eq(value=True), True),
            (Attr("flag").eq(1), False),
            (Attr("nothing").eq(None), True),
            (Attr("nothing").exists(), True),
            (Attr("nothing").missing(), False),
            (Attr("list").eq([1, 2]), True),
            (Attr("list").eq([2, 1]), False),
            (Attr("map").eq({"a": 1}), True),
            (Attr("map").eq({"a": True}), False),
            (Attr("list").has_at(1, 2), True),
            (Attr("list").has_at(1, 1), False),
            (Attr("list").has_at(2, 2), False),
            (Attr("list").has_at(1, 2, name="id"), False),
            (Attr("empty").has_at(0, 1), False),
            (Attr("absent").has_at(0, 1), False),
            (Attr("text").has_at(0, "a"), False),
            (Attr("map").has_at(0, 1), False),
            (Attr("maps").has_at(1, {"id": "b", "n": 1}), True),
            (Attr("maps").has_at(1, {"id": "b"}), False),
            (Attr("maps").has_at(1, "b", name="id"), True),
            (Attr("maps").has_at(0, "b", name="id"), False),
            (Attr("maps").has_at(0, "b", name="absent"), False),
            (Attr("absent").eq(5), False),
            (Attr("absent").lt(5), False),
            (Attr("absent").gt(5), False),
            (Compares("absent", "<>", 5), True),
            (Compares("number", "<>", 5), False),
            (Compares("number", "<>", "5"), True),
            (Attr("absent").missing(), True),
            (Attr("status").stays("open"), True),
            (Attr("status").stays("closed"), False),
            (Attr("status").stays(None), False),
            (Attr("absent").stays(None), True),
            (Attr("absent").stays("open"), False),
            (Attr("number").eq(5) & Attr("text").eq("b"), True),
            (Attr("number").eq(5) & Attr("text").eq("c"), False),
            (Attr("number").eq(6) | Attr("text").eq("b"), True),
            (Attr("number").eq(6) | Attr("text").eq("c"), False),
            ((Attr("number").eq(6) | Attr("text").eq("b")) & Attr("absent").exists(), False),
            (Attr("number").eq(6) | (Attr("text").eq("b") & Attr("absent").missing()), True),
            ((Attr("a").missing() & Attr("b").missing()) | (Attr("number").lt(1) & Attr("number").gt(9)), True),
        ],
        ids=repr,
    )
    def test_a_write_happens_if_its_condition_holds_of_the_row(
        self, conversations: Table, key: dict[str, str], condition: Condition, is_met: bool
    ):
        """Values of different types are never equal nor ordered; <> holds of a missing attribute."""
        conversations.put(key | ROW)

        answer = conversations.delete(key, when=condition)

        assert isinstance(answer, Written) is is_met
        assert (conversations.get(key) is None) is is_met

    @pytest.mark.parametrize(
        ("condition", "is_met"),
        [
            (Attr("number").missing(), True),
            (Attr("number").exists(), False),
            (Attr("number").eq(5), False),
            (Attr("number").has_at(0, 1), False),
            (Attr("number").stays(None), True),
            (Compares("number", "<>", 5), True),
            (Attr("number").missing() | Attr("number").lt(9), True),
            (Attr("number").missing() & Attr("text").exists(), False),
        ],
        ids=repr,
    )
    def test_of_a_row_that_is_not_there_every_attribute_is_missing(
        self, conversations: Table, key: dict[str, str], condition: Condition, is_met: bool
    ):
        """And a refusal brings an empty row."""
        answer = conversations.put(key | ROW, when=condition)

        assert answer == (Written({}) if is_met else Refused({}))

    def test_a_refused_put_brings_the_row_that_refused_it(self, conversations: Table, key: dict[str, str]):
        """So that the caller sees whose it is; the row stays."""
        conversations.put(key | {"owner": "another"})

        answer = conversations.put(key | {"owner": "we"}, when=Attr("conversation_id").missing())

        assert answer == Refused(key | {"owner": "another"})
        assert conversations.get(key) == key | {"owner": "another"}

    def test_a_refused_update_brings_the_row_that_refused_it(self, conversations: Table, key: dict[str, str]):
        """Whole, and unchanged."""
        conversations.put(key | {"version": 3, "list": [1]})

        answer = conversations.update(key, Change(add={"version": 1}), when=Attr("version").eq(2))

        assert answer == Refused(key | {"version": 3, "list": [1]})

    def test_a_refused_delete_brings_the_row_that_refused_it(self, locks: Table, fresh: str):
        """The trigger lock of another trigger stays."""
        row = {"conversation_id": fresh, "trigger_id": "theirs"}
        locks.put(row)

        answer = locks.delete({"conversation_id": fresh}, when=Attr("trigger_id").eq("ours"))

        assert answer == Refused(row)
        assert locks.get({"conversation_id": fresh}) == row


class TestUpdates:
    def test_an_update_changes_what_it_names_and_returns_the_row_after(self, conversations: Table, key: dict[str, str]):
        """All parts at once; reserved words are names like any other."""
        conversations.put(key | {"status": "old", "size": 1, "list": [1], "drop": 1, "kept": 1, "queue": [1, 2, 3]})
        change = Change(
            set={"status": "new", "name": "given"},
            append={"list": [2, 3]},
            add={"size": 2, "count": 1},
            remove=["drop", "absent"],
            remove_first={"queue": 2},
        )

        answer = conversations.update(key, change, when=EXISTS, read_back=True)

        after = {"status": "new", "name": "given", "list": [1, 2, 3], "size": 3, "count": 1, "kept": 1, "queue": [3]}
        assert answer == Written(key | after)
        assert conversations.get(key) == key | after

    def test_an_update_answers_nothing_unless_it_is_read_back(self, conversations: Table, key: dict[str, str]):
        """A full record would cross the network for nobody."""
        conversations.put(key | {"version": 1})

        answer = conversations.update(key, Change(add={"version": 1}), when=EXISTS)

        assert answer == Written({})
        assert conversations.get(key) == key | {"version": 2}

    def test_an_append_to_a_missing_list_makes_it(self, conversations: Table, key: dict[str, str]):
        """It counts as empty."""
        conversations.put(key)

        answer = conversations.update(key, Change(append={"messages": [{"id": "m1"}]}), when=EXISTS, read_back=True)

        assert answer == Written(key | {"messages": [{"id": "m1"}]})

    def test_an_append_of_nothing_makes_a_missing_list_empty(self, conversations: Table, key: dict[str, str]):
        """It is there afterwards."""
        conversations.put(key)

        answer = conversations.update(key, Change(append={"messages": []}), when=EXISTS, read_back=True)

        assert answer == Written(key | {"messages": []})

    def test_numbers_are_added_exactly(self, conversations: Table, key: dict[str, str]):
        """In decimal, to the last digit."""
        conversations.put(key | {"tenths": Decimal("0.1"), "large": Decimal("1" + "0" * 37)})

        change = Change(add={"tenths": Decimal("0.2"), "large": 1})

        answer = conversations.update(key, change, when=EXISTS, read_back=True)

        assert answer == Written(key | {"tenths": Decimal("0.3"), "large": Decimal("1" + "0" * 36 + "1")})

    def test_a_change_of_nothing_leaves_the_row_as_it_is(self, conversations: Table, key: dict[str, str]):
        """But its condition counts all the same."""
        conversations.put(key | {"version": 1})

        answer = conversations.update(key, Change(), when=Attr("version").eq(1), read_back=True)

        assert answer == Written(key | {"version": 1})

    def test_an_update_creates_a_missing_row_unless_its_condition_forbids(
        self, conversations: Table, key: dict[str, str]
    ):
        """Which is why every update carries one."""
        answer = conversations.update(key, Change(set={"a": 1}), when=Attr("a").missing(), read_back=True)

        assert answer == Written(key | {"a": 1})

    def test_an_update_of_a_missing_row_that_must_exist_is_refused(self, conversations: Table, key: dict[str, str]):
        """And creates nothing."""
        answer = conversations.update(key, Change(set={"a": 1}), when=EXISTS)

        assert answer == Refused({})
        assert conversations.get(key) is None

    @pytest.mark.parametrize(("count", "left"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (5, [])])
    def test_elements_are_removed_from_the_front(
        self, conversations: Table, key: dict[str, str], count: int, left: list[int]
    ):
        """As many as there are, and no more."""
        conversations.put(key | {"messages": [1, 2, 3]})

        change = Change(remove_first={"messages": count})

        answer = conversations.update(key, change, when=Attr("messages").has_at(2, 3), read_back=True)

        assert answer == Written(key | {"messages": left})

    def test_elements_are_removed_by_name_or_not_at_all(self, conversations: Table, key: dict[str, str]):
        """Another writer took one from the front and appended one: the length is the same, the element is not."""
        conversations.put(key | {"messages": [2, 3, 4]})

        answer = conversations.update(key, Change(remove_first={"messages": 2}), when=Attr("messages").has_at(1, 2))

        assert answer == Refused(key | {"messages": [2, 3, 4]})

    def test_an_element_is_marked_where_it_stands_and_the_others_stay(self, conversations: Table, key: dict[str, str]):
        """Two at once, each by its position and its name."""
        conversations.put(key | {"messages": [{"id": "a"}, {"id": "b", "n": 1}, {"id": "c"}]})
        stand = Attr("messages").has_at(0, "a", name="id") & Attr("messages").has_at(1, "b", name="id")

        answer = conversations.update(
            key,
            Change(set={"x": 1}, mark={"messages": {0: {"ended": True}, 1: {"ended": True, "n": 2}}}),
            when=stand,
            read_back=True,
        )

        marked = [{"id": "a", "ended": True}, {"id": "b", "n": 2, "ended": True}, {"id": "c"}]
        assert answer == Written(key | {"x": 1, "messages": marked})

    @pytest.mark.parametrize("messages", [[{"id": "b"}], [], ["a"], "a"])
    def test_an_element_that_moved_is_not_marked(self, conversations: Table, key: dict[str, str], messages: object):
        """Nor is what is no map, or no element."""
        conversations.put(key | {"messages": messages})

        answer = conversations.update(
            key,
            Change(mark={"messages": {0: {"ended": True}}}),
            when=Attr("messages").has_at(0, "a", name="id"),
            read_back=True,
        )

        assert answer == Refused(key | {"messages": messages})

    @pytest.mark.parametrize(
        "change",
        [
            Change(append={"text": [1]}),
            Change(add={"text": 1}),
            Change(remove_first={"text": 1}),
            Change(remove_first={"absent": 1}),
            Change(set={"list": []}, append={"list": [1]}),
            Change(append={"list": [1]}, remove_first={"list": 1}),
            Change(set={"conversation_id": "another"}),
        ],
        ids=[
            "append to a text",
            "add to a text",
            "remove first of a text",
            "remove first of nothing",
            "set and append",
            "append and remove first",
            "set a key",
        ],
    )
    def test_a_change_that_makes_no_sense_is_refused_for_good(
        self, conversations: Table, key: dict[str, str], change: Change
    ):
        """Wrong types, one attribute changed twice, a key: the row stays as it was."""
        conversations.put(key | {"text": "a", "list": [1]})

        with pytest.raises(Misconfigured):
            conversations.update(key, change, when=EXISTS)

        assert conversations.get(key) == key | {"text": "a", "list": [1]}

    def test_a_read_that_need_not_be_consistent_is_of_the_same_row(self, conversations: Table, key: dict[str, str]):
        """Its attributes, and None where there is no row; these engines have no replica that is behind."""
        absent = conversations.get(key, is_consistent=False)
        conversations.put(key | {"status": "open", "version": 1})

        assert absent is None
        assert conversations.get(key, is_consistent=False) == key | {"status": "open", "version": 1}
        assert conversations.get(key, attributes=["version"], is_consistent=False) == {"version": 1}

    def test_a_read_sees_the_write_that_was_answered_before(self, conversations: Table, key: dict[str, str]):
        """Reads of rows are strongly consistent."""
        versions = []

        for _ in range(5):
            conversations.update(key, Change(add={"version": 1}), when=Attr("absent").missing())
            versions.append(conversations.get(key)["version"])

        assert versions == [1, 2, 3, 4, 5]


class TestManyRows:
    def test_rows_of_several_tables_are_read_in_one_call_and_in_the_order_asked_for(
        self, engine: Engine, conversations: Table, locks: Table, key: dict[str, str], fresh: str
    ):
        """Missing rows are None, projections are each read's own, a row may be asked for twice."""
        absent = key | {"conversation_id": f"{fresh}-absent"}
        conversations.put(key | {"status": "open", "version": 1})
        locks.put({"conversation_id": fresh, "trigger_id": "t1", "expires_at": 5})
        before = engine.calls()

        rows = conversations.get_together(
            [
                Read(locks, {"conversation_id": fresh}),
                Read(conversations, absent, ["status"]),
                Read(conversations, key, ["status"]),
                Read(locks, {"conversation_id": f"{fresh}-absent"}),
                Read(conversations, key, ["version"]),
            ]
        )

        assert rows == [
            {"conversation_id": fresh, "trigger_id": "t1", "expires_at": 5},
            None,
            {"status": "open"},
            None,
            {"version": 1},
        ]
        assert engine.calls() == before + 1

    def test_a_read_together_of_one_whole_row_and_a_part_of_another(self, conversations: Table, fresh: str):
        """Each gets what it asked for."""
        whole, part = ({"primary_channel": "p", "conversation_id": f"{fresh}-{one}"} for one in "ab")
        conversations.put_many([whole | {"a": 1, "b": 2}, part | {"a": 3, "b": 4}])

        rows = conversations.get_together([Read(conversations, whole), Read(conversations, part, ["b", "absent"])])

        assert rows == [whole | {"a": 1, "b": 2}, {"b": 4}]

    def test_a_read_together_of_nothing_is_nothing(self, engine: Engine, conversations: Table):
        """And makes no call."""
        before = engine.calls()

        rows = conversations.get_together([])

        assert rows == []
        assert engine.calls() == before

    def test_a_hundred_rows_are_read_together(self, staged: Table, fresh: str):
        """What one call takes."""
        keys = [{"conversation_id": fresh, "message_sid": f"{number:03}"} for number in range(100)]
        staged.put_many([one | {"number": number} for number, one in enumerate(keys)])

        rows = staged.get_together([Read(staged, one, ["number"]) for one in reversed(keys)])

        assert rows == [{"number": number} for number in reversed(range(100))]

    def test_sixty_rows_are_put_and_deleted_in_three_calls_each(self, engine: Engine, staged: Table, fresh: str):
        """25 a call."""
        keys = [{"conversation_id": fresh, "message_sid": f"{number:02}"} for number in range(60)]
        before = engine.calls()

        staged.put_many([one | {"number": 1} for one in keys])
        found = len(list(staged.query(("conversation_id", fresh))))
        staged.delete_many(keys)

        assert found == 60
        assert list(staged.query(("conversation_id", fresh))) == []
        assert engine.calls() == before + 3 + 1 + 3 + 1

    def test_to_delete_a_row_twice_or_one_that_is_not_there_is_no_error(self, staged: Table, fresh: str):
        """Rows are named, and named twice is named."""
        there = {"conversation_id": fresh, "message_sid": "there"}
        staged.put(there)

        staged.delete_many([there, there, there | {"message_sid": "absent"}])

        assert staged.get(there) is None

    def test_to_put_one_key_twice_in_a_call_is_refused_for_good(self, staged: Table, fresh: str):
        """Which of the two would win, nobody could say."""
        row = {"conversation_id": fresh, "message_sid": "twice"}

        with pytest.raises(Misconfigured):
            staged.put_many([row | {"a": 1}, row | {"a": 2}])

        assert staged.get(row) is None

    def test_to_put_or_delete_no_rows_makes_no_call(self, engine: Engine, staged: Table):
        """DynamoDB takes no empty batch."""
        before = engine.calls()

        staged.put_many([])
        staged.delete_many([])

        assert engine.calls() == before


class TestQueries:
    @pytest.fixture
    def sids(self, staged: Table, fresh: str) -> list[str]:
        """Staged in no order: ten rows of one conversation, and one of another."""
        sids = [f"sid-{number}" for number in (3, 0, 9, 1, 8, 2, 7, 4, 6, 5)]
        staged.put_many(
            [{"conversation_id": fresh, "message_sid": sid, "route": "channel", "number": int(sid[-1])} for sid in sids]
        )
        staged.put({"conversation_id": f"{fresh}-another", "message_sid": "sid-5"})
        return sids

    def test_a_query_returns_the_rows_of_one_hash_key_in_order_of_the_range_key(
        self, staged: Table, fresh: str, sids: list[str]
    ):
        """And no others."""
        rows = list(staged.query(("conversation_id", fresh)))

        assert [row["message_sid"] for row in rows] == sorted(sids)

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (Attr("message_sid").lt("sid-2"), "01"),
            (Attr("message_sid").le("sid-2"), "012"),
            (Attr("message_sid").gt("sid-7"), "89"),
            (Attr("message_sid").eq("sid-4"), "4"),
            (Compares("message_sid", ">=", "sid-8"), "89"),
        ],
        ids=repr,
    )
    @pytest.mark.usefixtures("sids")
    def test_a_query_may_bound_the_range_key(self, staged: Table, fresh: str, condition: Condition, expected: str):
        """By one comparison."""
        rows = staged.query(("conversation_id", fresh), range_key=condition)

        assert "".join(row["message_sid"][-1] for row in rows) == expected

    @pytest.mark.usefixtures("sids")
    def test_a_query_keeps_the_rows_that_satisfy_a_condition(self, staged: Table, fresh: str):
        """On any attribute but the keys, alone or combined."""
        keep = Attr("route").eq("channel") & (Attr("number").lt(2) | Attr("number").gt(8))

        rows = staged.query(("conversation_id", fresh), keep=keep, attributes=["number"])

        assert list(rows) == [{"number": 0}, {"number": 1}, {"number": 9}]

    @pytest.mark.usefixtures("sids")
    def test_a_limit_counts_the_rows_that_are_read_and_not_those_that_are_kept(self, staged: Table, fresh: str):
        """Of the first three rows two are kept."""
        rows = staged.query(("conversation_id", fresh), limit=3, keep=Attr("number").gt(0), attributes=["number"])

        assert list(rows) == [{"number": 1}, {"number": 2}]

    def test_a_query_of_a_limit_makes_one_call(self, engine: Engine, staged: Table, fresh: str, sids: list[str]):
        """A first row costs one call, however many there are."""
        before = engine.calls()

        rows = list(staged.query(("conversation_id", fresh), limit=1))

        assert [row["message_sid"] for row in rows] == [min(sids)]
        assert engine.calls() == before + 1

    def test_a_query_reads_all_pages(self, engine: Engine, staged: Table, fresh: str):
        """A page ends at 1 MB; five rows of 300 KB are two pages."""
        for number in range(5):
            staged.put({"conversation_id": fresh, "message_sid": f"{number}", "body": "x" * 300_000})
        before = engine.calls()

        rows = list(staged.query(("conversation_id", fresh)))

        assert [row["message_sid"] for row in rows] == ["0", "1", "2", "3", "4"]
        assert engine.calls() == before + 2

    def test_a_query_reads_a_page_when_it_is_needed(self, engine: Engine, staged: Table, fresh: str):
        """Whoever stops after the first row pays for one page."""
        for number in range(5):
            staged.put({"conversation_id": fresh, "message_sid": f"{number}", "body": "x" * 300_000})
        before = engine.calls()

        first = next(iter(staged.query(("conversation_id", fresh))))

        assert first["message_sid"] == "0"
        assert engine.calls() == before + 1

    def test_a_query_reads_all_pages_whatever_it_keeps(self, engine: Engine, staged: Table, fresh: str):
        """A page counts what is read, not what is kept: an empty one is not the last."""
        for number in range(5):
            staged.put({"conversation_id": fresh, "message_sid": f"{number}", "body": "x" * 300_000, "number": number})
        before = engine.calls()

        rows = staged.query(("conversation_id", fresh), keep=Attr("number").eq(4))

        assert [row["message_sid"] for row in rows] == ["4"]
        assert engine.calls() == before + 2

    def test_a_query_of_an_index_reads_all_pages(self, engine: Engine, conversations: Table, fresh: str):
        """What the index projects counts, in pages of 1 MB too; several rows may bear the same keys of the index."""
        keys = {"gsi_company_whatsapp_number": f"+{fresh}", "gsi_recipient_tel": "+15550101"}
        for number in range(5):
            own = {"primary_channel": "p", "conversation_id": f"{fresh}-{number}", "messages": ["y" * 50_000]}
            conversations.put(own | keys | {"channel_config": {"note": "x" * 300_000}})
        before = engine.calls()

        rows = list(
            conversations.query(
                ("gsi_company_whatsapp_number", f"+{fresh}"), index=LOOK_UP, attributes=["conversation_id"]
            )
        )

        assert sorted(row["conversation_id"] for row in rows) == [f"{fresh}-{number}" for number in range(5)]
        assert engine.calls() == before + 2

    def test_an_index_finds_rows_by_its_own_keys_and_returns_what_it_projects(
        self, conversations: Table, key: dict[str, str], fresh: str
    ):
        """Its keys, the table's keys, and the attributes that the template includes."""
        projected = {"gsi_company_whatsapp_number": f"+{fresh}", "gsi_recipient_tel": "+15550101", "task_complete": 0}
        conversations.put(key | projected | {"messages": [1], "company_name": "Acme"})

        rows = list(conversations.query(("gsi_company_whatsapp_number", f"+{fresh}"), index=LOOK_UP))

        assert rows == [key | projected]

    def test_an_index_is_ordered_and_bounded_by_its_range_key(self, conversations: Table, fresh: str):
        """As the sweep reads locks older than an instant."""
        for started_at in ("3", "1", "2", "4"):
            key = {"primary_channel": "p", "conversation_id": f"{fresh}-{started_at}"}
            conversations.put(key | {"lock_shard": fresh, "processing_started_at": started_at})

        rows = conversations.query(
            ("lock_shard", fresh),
            index=LOCKED,
            range_key=Attr("processing_started_at").lt("4"),
            attributes=["processing_started_at"],
        )

        assert [row["processing_started_at"] for row in rows] == ["1", "2", "3"]

    def test_a_row_stands_in_an_index_while_it_has_both_its_keys(
        self, conversations: Table, key: dict[str, str], fresh: str
    ):
        """Sparse: a released conversation leaves the index of locked ones."""
        conversations.put(key | {"lock_shard": fresh, "processing_started_at": "1"})
        locked = list(conversations.query(("lock_shard", fresh), index=LOCKED, attributes=["conversation_id"]))

        conversations.update(key, Change(remove=["lock_shard"]), when=EXISTS)

        assert locked == [{"conversation_id": key["conversation_id"]}]
        assert list(conversations.query(("lock_shard", fresh), index=LOCKED)) == []

    def test_an_index_lists_every_row_of_a_key_and_keeps_those_asked_for(self, conversations: Table, fresh: str):
        """Several conversations of one customer with one company, of which some are complete."""
        for number, complete in enumerate((1, 0, 1, 0)):
            key = {"primary_channel": "p", "conversation_id": f"{fresh}-{number}"}
            keys = {"gsi_company_whatsapp_number": f"+{fresh}", "gsi_recipient_tel": "+15550101"}
            conversations.put(key | keys | {"task_complete": complete})

        rows = conversations.query(
            ("gsi_company_whatsapp_number", f"+{fresh}"),
            index=LOOK_UP,
            range_key=Attr("gsi_recipient_tel").eq("+15550101"),
            keep=Attr("task_complete").eq(0),
        )

        assert sorted(row["conversation_id"] for row in rows) == [f"{fresh}-1", f"{fresh}-3"]

    def test_an_index_that_is_not_there_is_our_fault(self, conversations: Table, fresh: str):
        """The detail names the operation and the table."""
        rows = conversations.query(("hash", fresh), index="no-such-index")

        with pytest.raises(Misconfigured) as refused:
            list(rows)

        assert refused.value.code == Code.DB_QUERY_ERROR
        assert refused.value.detail.startswith("Query conversations-contract")


class TestScans:
    @pytest.fixture
    def history(self, engine: Engine) -> Table:
        """A table that no other test of this module writes, with 5 x 300 KB in it: two pages."""
        table = engine.table("conversations-history")
        for number in range(5):
            row = {"conversation_id": f"c{number}", "message_id": "m", "body": "x" * 300_000, "number": number}
            table.put(row)
        return table

    def test_a_scan_returns_every_row_once_page_by_page(self, history: Table):
        """Each page tells where the next one starts; the last tells None."""
        first = history.scan()
        second = history.scan(start=first.next_start)

        found = sorted(row["conversation_id"] for row in [*first.items, *second.items])
        assert found == ["c0", "c1", "c2", "c3", "c4"]
        assert first.next_start is not None
        assert first.next_start.keys() == {"conversation_id", "message_id"}
        assert second.next_start is None

    def test_the_segments_of_a_scan_have_every_row_once(self, history: Table):
        """Each goes on where its own page ended."""
        found = []
        for number in range(3):
            start, is_first = None, True
            while is_first or start is not None:
                page = history.scan(start=start, segment=(number, 3))
                found += [row["conversation_id"] for row in page.items]
                start, is_first = page.next_start, False

        assert sorted(found) == ["c0", "c1", "c2", "c3", "c4"]

    def test_a_scan_keeps_the_rows_that_satisfy_a_condition(self, history: Table):
        """A page may be empty though others follow."""
        first = history.scan(keep=Attr("number").eq(2))
        second = history.scan(start=first.next_start, keep=Attr("number").eq(2))

        assert [row["number"] for row in [*first.items, *second.items]] == [2]

    def test_a_scan_of_an_index_returns_what_stands_in_it(self, conversations: Table, fresh: str):
        """A row without the index's keys does not; of one that does, only what is projected is returned."""
        row = {"primary_channel": "+15550100", "gsi_company_sms_number": fresh, "company_id": "acme", "messages": []}
        keys = {"gsi_recipient_tel": "+15550100"}
        conversations.put({**row, **keys, "conversation_id": f"{fresh}-in"})
        conversations.put({**row, "conversation_id": f"{fresh}-out"})

        page = conversations.scan(
            index="company-sms-number-recipient-tel-index", keep=Attr("gsi_company_sms_number").eq(fresh)
        )

        row.pop("messages")
        assert list(page.items) == [{**row, **keys, "conversation_id": f"{fresh}-in"}]

    def test_a_scan_of_an_index_goes_on_where_its_page_ended(self, conversations: Table, fresh: str):
        """Each row once, however many pages there are."""
        config = {"whatsapp": {"credential_ref": "x" * 200_000}}
        row = {"primary_channel": "+15550101", "gsi_company_whatsapp_number": fresh, "gsi_recipient_tel": "+15550101"}
        for number in range(7):
            conversations.put({**row, "conversation_id": f"{fresh}-{number}", "channel_config": config})

        found, start, pages = [], None, 0
        while pages == 0 or start is not None:
            page = conversations.scan(
                index="company-whatsapp-number-recipient-tel-index",
                start=start,
                keep=Attr("gsi_company_whatsapp_number").eq(fresh),
            )
            found += [one["conversation_id"] for one in page.items]
            start, pages = page.next_start, pages + 1

        assert sorted(found) == [f"{fresh}-{number}" for number in range(7)]
        assert pages > 1

    def test_a_scan_goes_on_behind_a_row_that_was_deleted_meanwhile(self, history: Table):
        """Where the next page starts is a place in the table and not a row."""
        first = history.scan()
        history.delete(first.next_start)

        second = history.scan(start=first.next_start)

        assert len(first.items) + len(second.items) == 5


class TestDeadlines:
    def test_after_its_deadline_a_table_makes_no_call(self, engine: Engine, conversations: Table, key: dict[str, str]):
        """Every operation is refused before it is sent, and certainly did not happen."""
        late = conversations.within(Deadline.after(FakeClock(), 0))
        before = engine.calls()
        operations = [
            lambda: late.get(key),
            lambda: late.get_together([Read(late, key)]),
            lambda: late.put(key),
            lambda: late.update(key, Change(), when=EXISTS),
            lambda: late.delete(key),
            lambda: late.put_many([key]),
            lambda: late.delete_many([key]),
            lambda: list(late.query(("primary_channel", "p"))),
            late.scan,
        ]

        for operation in operations:
            with pytest.raises(TryAgain) as refused:
                operation()
            assert refused.value.code == Code.DB_TRANSIENT_ERROR
            assert refused.value.maybe_applied is False

        assert engine.calls() == before

    def test_before_its_deadline_a_table_works_as_ever(self, conversations: Table, key: dict[str, str]):
        """And shares its rows with the table that it came from."""
        conversations.within(Deadline.after(FakeClock(), 1)).put(key)

        found = conversations.get(key)

        assert found == key
