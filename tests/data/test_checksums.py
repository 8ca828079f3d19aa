import pytest

from luthier.data.checksums import is_bank_card, is_chinese_id, is_iban, is_ipv4, is_us_ssn

# Published examples of the standards and test numbers of the card networks: nobody's own.
CARD, ID, IBAN = "4111111111111111", "11010519491231002X", "GB82WEST12345698765432"


@pytest.mark.parametrize(("check", "number"), [(is_bank_card, CARD), (is_chinese_id, ID), (is_iban, IBAN)])
def test_a_wrong_digit_is_seen(check, number):
    assert check(number)
    assert check(number.lower())
    for place in range(4, len(number) - 1):
        if number[place].isdigit():
            other = str((int(number[place]) + 1) % 10)
            assert not check(number[:place] + other + number[place + 1 :]), place


@pytest.mark.parametrize("number", ["5500005555555559", "340000000000009", "6011000000000004", "6200000000000005"])
def test_cards(number):
    assert is_bank_card(number)


@pytest.mark.parametrize("number", ["4111111111111112", "411111111111", "0000000000000000", "1" * 16, "9" * 16])
def test_no_cards(number):
    assert not is_bank_card(number)


@pytest.mark.parametrize("number", ["4300000000000", "6200000000000", "2019201920192019", "2018201720162015"])
def test_amounts_and_years_are_no_cards(number):
    assert not is_bank_card(number)


def test_every_country_has_its_length():
    """Of all check digits one or two are right, where the length is."""
    assert any(is_iban(f"AT{check:02}{16 * '0'}") for check in range(100))
    assert not any(is_iban(f"DE{check:02}{16 * '0'}") for check in range(100))
    assert not any(is_iban(f"US{check:02}{16 * '0'}") for check in range(100))


def test_dates_of_birth_exist():
    assert not is_chinese_id("11010519490230002X")
    assert not is_chinese_id("110105194912310020")
    assert not is_chinese_id("1101051949123100")


@pytest.mark.parametrize("number", ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000"])
def test_social_security_numbers_that_nobody_has(number):
    assert not is_us_ssn(number)
    assert is_us_ssn("123-45-6789")


def test_addresses():
    assert is_ipv4("192.168.0.1")
    assert not is_ipv4("192.168.0.256")
