import json
import re

import pytest

from luthier.data.personal import KINDS, find_personal, hidden

# Numbers from the standards' own examples and ranges that are reserved for fiction.
PLANTED = [
    ("Write to jane.doe@example.com.", "Write to [EMAIL]."),
    ("邮箱zhang_san@mail.example.cn，谢谢", "邮箱[EMAIL]，谢谢"),
    ("Call +44 20 7946 0958 today", "Call [PHONE] today"),
    ("+44 20 7946 0958\n221B Baker Street", "[PHONE]\n221B Baker Street"),
    ("+1 212 555 0123 (24 hours), +1 212 555 0123-4567", "[PHONE] (24 hours), [PHONE]-4567"),
    ("Phone: 020 7946 0958\n221 Baker Street", "Phone: [PHONE]\n221 Baker Street"),
    ("Ring (212) 555-0123 or 212-555-0123", "Ring [PHONE] or [PHONE]"),
    ("1-800-555-0199 and 1 (800) 555-0199", "[PHONE] and [PHONE]"),
    ("手机13812345678，座机010-62345678", "手机[PHONE]，座机[PHONE]"),
    ("138 1234 5678", "[PHONE]"),
    ("Tel.: 09 1234 5678, fax: 09 1234 5679", "Tel.: [PHONE], fax: [PHONE]"),
    ("Card 4111 1111 1111 1111.", "Card [CARD]."),
    ("Amex 3400-000000-00009", "Amex [CARD]"),
    ("手机13812345678手续费，13912345678户主、13512345678张三", "手机[PHONE]手续费，[PHONE]户主、[PHONE]张三"),
    ("手机：13800000000", "手机：[PHONE]"),
    ("银行卡号6200000000000005有误", "银行卡号[CARD]有误"),
    ("Pay to GB82 WEST 1234 5698 7654 32 now", "Pay to [IBAN] now"),
    ("IBAN BE68 5390 0754 7034 BIC KREDBEBB", "IBAN [IBAN] BIC KREDBEBB"),
    ("ES91 2100 0418 4502 0005 1332 EUR 5", "[IBAN] EUR 5"),
    ("BE68 5390 0754 7034 AT61 1904 3002 3457 3201 EUR", "[IBAN] [IBAN] EUR"),
    ("身份证号11010519491231002X，男", "身份证号[ID]，男"),
    ("SSN 123-45-6789", "SSN [SSN]"),
    ("MRN: 00123456, stable", "MRN: [MRN], stable"),
    ("病历号：A0012345", "病历号：[MRN]"),
    ("病历号12345678患者张三", "病历号[MRN]患者张三"),
    ("患者MRN:12345678入院", "患者MRN:[MRN]入院"),
    ("患者tel: 020 7946 0958", "患者tel: [PHONE]"),
    ("Patient Name: John A. Smith\nAge: 40", "Patient Name: [NAME]\nAge: 40"),
    ("姓名：张三性别：男", "姓名：[NAME]性别：男"),
    ("姓名: 欧阳娜娜 年龄: 30", "姓名: [NAME] 年龄: 30"),
    ("from 192.168.0.1", "from [IP]"),
]


@pytest.mark.parametrize(("text", "masked"), PLANTED)
def test_found(text, masked):
    assert hidden(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in 2008-2009",
        "Turnover was EUR 1 234 567 890 123 in 2008, up 12.5 %, or +12 345 678.90",
        "Up by +33 146 482 800 %",
        "净利润13812345678元，同比增长20230101%",
        "总资产4300000000000元，净资产6200000000000，$2400000000000, 4111111111111111 yen, EUR 4111111111111111",
        "公司发行份额13500000000份，较上年13812345678份；成交13812345678手的基金，客户13812345678户。",
        "成交额13812345678，市值15000000000日元，人民币13812345678，约合13812345678欧元，JPY 13812345678",
        "日产原油13812345678桶、钢材13812345678吨，快递13812345678件，13812345678 yen, 13812345678 USD",
        "支付宝总额：13812345678，4111111111111111港元，+33 146 482 800 欧元，+49 301 234 567 EUR",
        "募集资金¥13812345678，股票代码600519，日期20230101",
        "ISIN US0378331005, FI0009000681, ticker 0700.HK, CUSIP 037833100",
        "Order 4111 1111 1111 1112, invoice 1234567812345678",
        "Shares 100-200-300, 12-34-5678 and 000-12-3456, room 123-45-678",
        "身份证号110105194912310020",
        "version 10.15.7.1.2, 999.1.1.1",
        "Mobile phone subscribers: 25 million; call options 1000000",
        "Hôtel: 1234567, excel: 1234567,病历号12345678b",
        "Company name: Nokia Oyj. File name: Report Final",
        "患者：医生您好，客户：你好",
        "@nokia $NOK profit .@positive 5@10",
        "The S&P 500 closed at 1 234.56, down 1234567 points at 16:00 on 03-12-2009",
    ],
)
def test_ordinary_text_stays(text):
    assert hidden(text) == text


def test_known_names_are_found_as_whole_words():
    assert hidden("Ann Lee and AnnLee; 张三丰说", ["Ann Lee", "张三丰"]) == "[NAME] and AnnLee; [NAME]说"
    assert find_personal("Ann Lee", ["email"], ["Ann Lee"]) == []


@pytest.mark.parametrize(
    ("name", "text", "masked"),
    [
        ("Jane Doe", "JANE DOE, jane doe and Jane\nDoe", "[NAME], [NAME] and [NAME]"),
        ("Will", "Will and WILL will", "[NAME] and [NAME] will"),
        ("Jörg", "Jörg Jörgensen, JÖRG", "[NAME] Jörgensen, [NAME]"),
        ("Ann Lee", "患者Ann Lee说", "患者[NAME]说"),
        ("김철수", "김철수는 환자", "[NAME]는 환자"),
        ("สมชาย", "คุณสมชายครับ", "คุณ[NAME]ครับ"),
        ("J. Doe Jr.", "J. Doe Jr.'s", "[NAME]'s"),
    ],
)
def test_names_in_other_scripts_and_cases(name, text, masked):
    assert hidden(text, [name]) == masked


def test_only_what_is_asked_for():
    text = "jane@example.com 123-45-6789"
    assert [each.kind for each in find_personal(text, KINDS)] == ["email", "us_ssn"]
    assert [each.kind for each in find_personal(text, ["us_ssn"])] == ["us_ssn"]


def test_the_same_number_written_differently_is_the_same():
    one, two = find_personal("4111 1111 1111 1111 / 4111-1111-1111-1111", KINDS)
    assert one.value == two.value


@pytest.mark.real
def test_ordinary_finance_sentences_stay_as_they_are(shared_data):
    """What is found in 13 000 of them is shown when it is not behind a word or a sign that says what it is."""
    bank = (shared_data / "financial_phrasebank" / "Sentences_AllAgree.txt").read_text(encoding="utf-8").splitlines()
    headlines = (shared_data / "sentfin" / "SEntFiN.csv").read_text(encoding="utf-8").splitlines()[1:]
    sentences = [line.rpartition("@")[0] for line in bank] + headlines
    assert len(sentences) > 13_000
    found = [(text[: each.end], each.kind) for text in sentences for each in find_personal(text, KINDS)]
    false = [(text, kind) for text, kind in found if not re.search(r"Telephone : [\d -]+$|\+[\d -]+$|@\S+$", text)]
    assert false == []
    assert len(found) <= 12, found


@pytest.mark.real
def test_amounts_of_chinese_finance_texts_stay_also_when_they_are_written_out(shared_data):
    files = sorted((shared_data / "disc_finllm_sft_sample").glob("*.json"))
    rows = [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    units = {"万": 10**4, "亿": 10**8, "万亿": 10**12}
    amount = re.compile(r"(\d+(?:\.\d+)?)(万亿|亿|万)")
    written_out = [amount.sub(lambda found: f"{float(found[1]) * units[found[2]]:.0f}", text) for text in texts]
    assert sum(one != other for one, other in zip(texts, written_out, strict=True)) > 100
    assert [text[: each.end] for text in [*texts, *written_out] for each in find_personal(text, KINDS)] == []
