"""Which numbers are what they look like, by their checksums and rules."""

from __future__ import annotations

from datetime import date

_CARD_PREFIXES = ("4", "5", "22", "23", "24", "25", "26", "27", "34", "37", "35", "36", "38", "39", "6")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "AO CV GW LY MZ PT ST",
    26: "DZ IR IS TR",
    27: "BI CF CG CM DJ FR GA GQ GR IT KM MC MR SM TD",
    28: "AL AZ BF BJ BY CI CY DO GT HN HU LB MA MG ML NE NI PL SN SV TG",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""Length -> countries: the registry of ISO 13616, and African ones and Iran, which use the form without being in it."""


def is_round(digits: str) -> bool:
    """Six zeros at the end: an amount, for numbers that are given out hardly ever end so."""
    return digits.endswith("000000")


def is_bank_card(digits: str) -> bool:
    """13 to 19 digits that begin like a card's and whose last one checks the others (Luhn, ISO/IEC 7812)."""
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1 or is_round(digits):
        return False
    return digits.startswith(_CARD_PREFIXES) and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """A country and as many characters as it uses, which as a number leave 1 when divided by 97 (ISO 13616)."""
    if text[:2].upper() not in _IBAN_LENGTHS.get(len(text), "").split() or not (text[2:4].isdigit() and text.isalnum()):
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def is_chinese_id(text: str) -> bool:
    """A resident identity number: a region, a day of birth, an order, a check by modulo 11-2 (GB 11643-1999)."""
    if len(text) != 18 or not text[:17].isdigit():
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _ID_WEIGHTS, strict=False))
    return 1900 <= born.year <= 2100 and text[17].upper() == _ID_CHECKS[total % 11]


def is_us_ssn(text: str) -> bool:
    """A social security number: no area 000, 666 or 900 and above, no group 00, no serial 0000."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_ipv4(text: str) -> bool:
    """Four numbers up to 255."""
    return all(int(part) <= 255 for part in text.split("."))
