"""The recipes at reduced size: every setting is one that its recipe takes."""

import re

import pytest

import recipes
from luthier import registry
from luthier.config import load_config

PLACE = re.compile("{(" + "|".join(recipes.PLACES) + ")}")


@pytest.mark.parametrize("run", recipes.RUNS, ids=lambda run: run.recipe)
def test_the_settings_fit_the_recipe(run):
    settings = [PLACE.sub("folder", setting) for setting in run.settings]
    load_config(recipes.RECIPES / f"{run.recipe}.yaml", settings)
    assert run.metric in registry.names("metric")
