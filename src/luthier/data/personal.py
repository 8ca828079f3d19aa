"""Finds personal data in texts. Precision first: a number counts only with its checksum, its form or a word before it,
for an ordinary sentence about money is full of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from luthier.data.checksums import is_bank_card, is_chinese_id, is_iban, is_ipv4, is_round, is_us_ssn

Kind = Literal["email", "iban", "chinese_id", "bank_card", "us_ssn", "phone", "medical_record", "ip_address", "name"]

KINDS: dict[Kind, str] = {
    "email": "EMAIL",
    "iban": "IBAN",
    "chinese_id": "ID",
    "bank_card": "CARD",
    "us_ssn": "SSN",
    "phone": "PHONE",
    "medical_record": "MRN",
    "ip_address": "IP",
    "name": "NAME",
}
"""What is found, in order of precedence, and the word of its placeholder."""

_MONEY = "$ € £ ¥ ￥ ₹ ₩ Rs Rs. USD EUR GBP JPY CNY RMB HKD INR KRW 人民币 美元 港元 港币 日元 欧元 英镑 额 额: 额："
_MONEY_BEFORE = "".join(f"(?<!{sign})(?<!{sign} )" for sign in map(re.escape, _MONEY.split()))
_AMOUNT_BEHIND = (
    r"(?!\s?(?:[%％‰万亿股份吨件笔桶倍]|(?:[美港日韩欧澳加英新]|新?台|人民)?[元圆币镑]|美金|卢[布比]|[法瑞]郎|泰铢|人次"
    r"|千瓦|千克|公斤|公里|平方|立方|[手户个人次台张只条片米度克家](?!(?!的)[\u4e00-\u9fff])"
    r"|(?i:shares|units|tons|tonnes|barrels|people|million|billion|trillion|mn|bn|dollars|euros|pounds|yuan|yen|rupees"
    r"|USD|EUR|GBP|JPY|CNY|RMB|HKD|INR|KRW)\b))"
)
"""What can be a measure or begin another word, such as 手 of 手机, is a measure only before 的 or no Chinese."""
_UNPARTED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts in which other words follow a name without a space: Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean."""
_LETTER = rf"[^\W{_UNPARTED}]"
"""A letter or digit of all other scripts."""
_CHINESE_NAME = r"[\u4e00-\u9fff]{1,3}?(?:·[\u4e00-\u9fff]{1,8})?[\u4e00-\u9fff]"
_BEHIND_NAME = r"(?=\s|$|[,，。;；、|)）]|性别|年龄|先生|女士|电话|手机|身份证|病历)"


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data at a place in a text.

    Attributes:
        kind: what it is.
        start: its first character.
        end: the character behind it.
        value: itself, in the form by which two of them are the same.
    """

    kind: Kind
    start: int
    end: int
    value: str


@dataclass(frozen=True)
class _Pattern:
    """What one kind looks like: the group `value`, or the whole match, when `check` agrees without what is dropped.

    With `shorter`, what does not pass is tried again without its last piece, which may belong to what follows.
    """

    kind: Kind
    regex: re.Pattern[str]
    check: Callable[[str], bool] = lambda value: True
    drop: str = r"[\s-]"
    shorter: bool = False

    def found(self, text: str) -> Iterator[Found]:
        """Where a text has it."""
        place = 0
        while match := self.regex.search(text, place):
            agreed = self._agreed(match)
            if agreed is not None:
                yield agreed
            place = match.end() if agreed is None else agreed.end

    def _agreed(self, match: re.Match[str]) -> Found | None:
        group: str | int = "value" if "value" in self.regex.groupindex else 0
        start, piece = match.start(group), match[group]
        while piece:
            value = re.sub(self.drop, "", piece).casefold()
            if self.check(value):
                return Found(self.kind, start, start + len(piece), value)
            piece = _LAST_PIECE.sub("", piece) if self.shorter else ""
        return None


def _international(value: str) -> bool:
    """Whether a country has given out such a number."""
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(f"+{value}", None)))
    except phonenumbers.NumberParseException:
        return False


def _plausible(value: str) -> bool:
    """Seven to fifteen digits (ITU-T E.164), not all the same."""
    return 7 <= len(value) <= 15 and len(set(value)) > 1


_LAST_PIECE = re.compile(r"(?:[^A-Za-z0-9]+|^)[A-Za-z0-9]*$")
_BETWEEN = r" \t\xa0().-"
_NUMBER = rf"\+?\(?\d[\d{_BETWEEN}]{{5,18}}\d(?!\d)"
_PATTERNS = (
    _Pattern(
        "email",
        re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}(?![\w-])", re.A),
        drop=r"\s",
    ),
    _Pattern(
        "iban",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"),
        is_iban,
        shorter=True,
    ),
    _Pattern(
        "chinese_id",
        re.compile(r"(?<![A-Za-z0-9])[1-68]\d{5}(?:19|20)\d{2}[01]\d[0-3]\d{4}[\dXx](?![A-Za-z0-9])"),
        is_chinese_id,
    ),
    _Pattern(
        "bank_card",
        re.compile(
            rf"(?<![\w.,-])(?=\d{{4}}){_MONEY_BEFORE}"
            r"(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{5})"
            rf"(?![\w-]|[.,]\d){_AMOUNT_BEHIND}",
            re.A,
        ),
        is_bank_card,
    ),
    _Pattern("us_ssn", re.compile(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-]|\.\d)", re.A), is_us_ssn, drop=r"\s"),
    _Pattern(
        "phone",
        re.compile(rf"(?<![\w+])\+[1-9](?:[{_BETWEEN}]{{0,4}}\d){{6,40}}+{_AMOUNT_BEHIND}", re.A),
        _international,
        drop=r"\D",
        shorter=True,
    ),
    _Pattern(
        "phone",
        re.compile(
            rf"(?<![\w.,-])(?=1[3-9]){_MONEY_BEFORE}\d{{3}}([ -]?)\d{{4}}\1\d{{4}}(?![\w-]|[.,]\d){_AMOUNT_BEHIND}",
            re.A,
        ),
        lambda value: not is_round(value),
        drop=r"\D",
    ),
    _Pattern("phone", re.compile(r"(?<![\w.,-])0\d{2,3}-[2-9]\d{6,7}(?![\w-]|[.,]\d)", re.A), drop=r"\D"),
    _Pattern(
        "phone",
        re.compile(r"(?<![\w.,-])(?:1[ -])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}-)[2-9]\d{2}-\d{4}(?![\w-]|[.,]\d)", re.A),
        drop=r"\D",
    ),
    _Pattern(
        "phone",
        re.compile(
            rf"(?:(?<!{_LETTER})(?:(?:tele)?phone|tel|fax|mobile|cell)|电话|手机|传真|手机号|联系方式)"
            rf"(?:\s?(?:no|number|号码|号))?\s*[.:：]+\s*(?P<value>{_NUMBER})",
            re.I,
        ),
        _plausible,
        drop=r"\D",
    ),
    _Pattern(
        "medical_record",
        re.compile(
            rf"(?:(?<!{_LETTER})(?:MRN|medical record(?: number| no)?|patient id)|病历号|病案号|住院号|门诊号|就诊号)"
            rf"\s*(?:is|为|是)?[.:：#]*\s*(?P<value>[A-Z]{{0,3}}-?\d{{4,15}})(?!{_LETTER})",
            re.I,
        ),
    ),
    _Pattern("ip_address", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", re.A), is_ipv4),
    _Pattern(
        "name",
        re.compile(
            r"(?:^|[\n;,|.] ?)(?:(?i:patient|customer|client|full|contact|employee)(?:'s)? )?[Nn]ame\s?: ?"
            r"(?P<value>(?:[A-Z][\w'’-]+\.?|[A-Z]\.)(?: (?:[A-Z][\w'’-]+|[A-Z]\.)){1,3})"
        ),
        drop=r"^\s|\s$",
    ),
    _Pattern("name", re.compile(rf"(?:姓名|联系人)\s?[:：]\s?(?P<value>{_CHINESE_NAME}){_BEHIND_NAME}"), drop=r"\s"),
)


def find_personal(text: str, kinds: Collection[Kind], names: Sequence[str] = ()) -> list[Found]:
    """Personal data in a text, in order, no two overlapping.

    Args:
        text: the text.
        kinds: what to look for.
        names: names that are known to stand in it; only they and those behind `Name:` or 姓名： are found.
    """
    found: list[Found] = []
    for candidates in (_candidates(text, kinds), _named(text, names if "name" in kinds else ())):
        for candidate in candidates:
            if all(candidate.end <= other.start or candidate.start >= other.end for other in found):
                found.append(candidate)
    return sorted(found, key=lambda each: each.start)


def hidden(text: str, names: Sequence[str] = ()) -> str:
    """A text with every piece of personal data replaced by its kind, such as [EMAIL]."""
    return replaced(text, find_personal(text, KINDS, names), lambda each: f"[{KINDS[each.kind]}]")


def replaced(text: str, found: Sequence[Found], placeholder: Callable[[Found], str]) -> str:
    """A text with placeholders where something was found."""
    pieces, end = [], 0
    for each in found:
        pieces += [text[end : each.start], placeholder(each)]
        end = each.end
    return "".join([*pieces, text[end:]])


def _candidates(text: str, kinds: Collection[Kind]) -> Iterator[Found]:
    for pattern in _PATTERNS:
        if pattern.kind in kinds:
            yield from pattern.found(text)


def _named(text: str, names: Sequence[str]) -> Iterator[Found]:
    """Where known names stand: whole words in whatever case, but not one in small letters, such as will for Will."""
    for name in sorted(names, key=len, reverse=True):
        words = name.split()
        before = rf"(?<!{_LETTER})" if re.match(_LETTER, words[0]) else ""
        behind = rf"(?!{_LETTER})" if re.match(_LETTER, words[-1][-1]) else ""
        for match in re.finditer(before + r"\s+".join(map(re.escape, words)) + behind, text, re.I):
            if len(words) > 1 or match[0] == name or not match[0].islower():
                yield Found("name", match.start(), match.end(), " ".join(words).casefold())
