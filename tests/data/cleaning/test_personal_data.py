from luthier.config import DataConfig
from luthier.data.cleaner import Cleaner
from luthier.data.examples import Conversation, Labelled, Message, Row


def masked(made, text, **values):
    example, change = made.repair(Labelled(text, "x"), Row(values, "rows.jsonl", 1))
    return example.text, change


def test_the_same_value_gets_the_same_placeholder(step):
    made = step("personal_data")
    assert masked(made, "a@example.com wrote to b@example.com") == (
        "[EMAIL_1] wrote to [EMAIL_2]",
        "personal data masked: e-mail addresses",
    )
    assert masked(made, "B@example.com, SSN 123-45-6789") == (
        "[EMAIL_2], SSN [SSN_1]",
        "personal data masked: e-mail addresses; personal data masked: US social security numbers",
    )
    assert masked(made, "Profit rose") == ("Profit rose", None)
    assert made.counts() == {
        "e-mail addresses": 3,
        "different e-mail addresses": 2,
        "US social security numbers": 1,
        "different US social security numbers": 1,
    }
    assert made.notes() == ["personal_data: masked 3 e-mail addresses, 1 US social security numbers"]


def test_names_come_from_columns_and_go_from_every_turn(step):
    made = step("personal_data", name_columns=["patient", "doctor"])
    chat = Conversation((Message("user", "I am Ann Lee"), Message("assistant", "Dear Ann Lee, Dr Bo Chen is in")))
    repaired, change = made.repair(chat, Row({"patient": " Ann Lee ", "doctor": "Bo Chen"}, "rows.csv", 2))
    assert [message.content for message in repaired.messages] == ["I am [NAME_1]", "Dear [NAME_1], Dr [NAME_2] is in"]
    assert change == "personal data masked: names"
    assert masked(made, "Ann Lee is well", patient=None) == ("Ann Lee is well", None)


def test_names_are_looked_for_as_the_steps_before_leave_them():
    clean = ["unicode", "width", {"name": "personal_data", "name_columns": ["patient"]}]
    cleaner = Cleaner(DataConfig(train="rows.jsonl", clean=clean))
    for name in ("JosÃ© Roca", "ＡＮＮ　ＬＥＥ", "José Roca"):
        row = Row({"patient": name}, "rows.jsonl", 1)
        example, _ = cleaner.repair(Labelled(f"{name} is well", "x"), row, "train")
        assert example.text.endswith("] is well")
    examples = [shown for step in cleaner.report() for shown in step["examples"]]
    assert len(examples) == 5
    assert {shown["before"] for shown in examples} == {"[NAME] is well", None}
    assert {shown["after"] for shown in examples} == {"[NAME] is well", "[NAME_1] is well", "[NAME_2] is well"}


def test_calls_get_the_same_placeholders(step):
    call = {"name": "send", "arguments": {"to": "jane@example.com", "copies": 2}}
    chat = Conversation((Message("user", "mail jane@example.com"), Message("assistant", "", (call,))))
    repaired, change = step("personal_data").repair(chat, Row({}, "rows.jsonl", 1))
    masked = {"name": "send", "arguments": {"to": "[EMAIL_1]", "copies": 2}}
    assert repaired.messages == (Message("user", "mail [EMAIL_1]"), Message("assistant", "", (masked,)))
    assert change == "personal data masked: e-mail addresses"


def test_kinds_can_be_chosen(step):
    made = step("personal_data", kinds=["ip_address"])
    assert masked(made, "a@example.com from 10.0.0.1")[0] == "a@example.com from [IP_1]"
    assert masked(step("personal_data"), "10.0.0.1") == ("10.0.0.1", None)
