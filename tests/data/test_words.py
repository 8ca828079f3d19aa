from luthier.data.words import is_cjk, split_words


def test_words_are_parted_by_spaces_and_chinese_ones_by_characters() -> None:
    assert split_words("  Nokia rose\n5% ") == ["Nokia", "rose", "5%"]
    assert split_words("公司 Nokia 利润增长") == ["公", "司", "Nokia", "利", "润", "增", "长"]
    assert split_words(" ") == []


def test_chinese_is_told_from_latin() -> None:
    assert is_cjk(["Nokia 公司利润"])
    assert not is_cjk(["Nokia", "利"])
