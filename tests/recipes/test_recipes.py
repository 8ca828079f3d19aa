"""Ready runs: every one is valid, described, and found by name."""

import re

import pytest

from luthier import recipes
from luthier.config import load_config
from luthier.errors import ConfigError
from luthier.languages import speaking


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "chat.yaml").write_text(
        "# Teach a model to chat.\n# In your own tone.\n#\n# 学聊天。\n# 用你的语气。\nname: chat\n# late\n"
    )
    (tmp_path / "bare.yaml").write_text("name: bare\n# late\n")
    (tmp_path / "notes.md").write_text("# not a recipe\n")
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    return tmp_path


def test_the_first_comment_lines_describe_a_recipe(folder):
    assert [(recipe.name, recipe.description) for recipe in recipes.recipes()] == [
        ("bare", ""),
        ("chat", "Teach a model to chat. In your own tone."),
    ]
    with speaking("zh"):
        assert [recipe.description for recipe in recipes.recipes()] == ["", "学聊天。用你的语气。"]
        assert recipes.recipe("chat").summary == "学聊天。"
    assert recipes.recipe("chat").settings == "name: chat\n# late\n"


def test_a_recipes_text_is_its_file(folder):
    assert recipes.recipe("bare").text == "name: bare\n# late\n"


def test_a_wrong_name_gets_the_nearest_right_one(folder):
    with pytest.raises(ConfigError) as caught:
        recipes.recipe("chats")
    assert caught.value.found == "there is no recipe 'chats'; did you mean 'chat'?"
    assert caught.value.expected == "one of bare, chat"


@pytest.mark.parametrize("recipe", recipes.recipes(), ids=lambda recipe: recipe.name)
def test_every_recipe_is_described_and_valid(recipe):
    assert recipe.description
    with speaking("zh"):
        assert re.search("[\u4e00-\u9fff]", recipe.summary), "its second paragraph says it in Chinese"
    assert load_config(recipe.path).model.base
