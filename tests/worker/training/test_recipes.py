"""A recipe is looked up by name, and only the paper's can be faithful to it."""

from dataclasses import replace

import pytest

from shared.errors import SetupError
from worker.decode.pixels import BGR_BILINEAR, RGB_AREA
from worker.training.recipes import DEFAULT, RECIPES, recipe_of


def test_every_recipe_is_found_by_its_name() -> None:
    assert DEFAULT in RECIPES
    for name in RECIPES:
        assert recipe_of(name).name == name


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(SetupError, match=r"no recipe is called vgg; there are paper-vanilla, "):
        recipe_of("vgg")


@pytest.mark.parametrize("name", ["paper-vanilla", "paper-vgg16", "paper-densenet"])
def test_a_faithful_recipe_splits_and_decodes_as_the_notebooks_did(name: str) -> None:
    mended, faithful = recipe_of(name), recipe_of(name, paper_faithful=True)
    assert (mended.split, mended.preprocessing) == ("product", RGB_AREA)
    assert (faithful.split, faithful.preprocessing) == ("image", BGR_BILINEAR)
    assert faithful.schedule.patience is None
    assert faithful.network == mended.network
    assert faithful.schedule.epochs == mended.schedule.epochs


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith("paper-")])
def test_no_other_recipe_can_be_faithful(name: str) -> None:
    with pytest.raises(SetupError, match=f"{name} is none"):
        recipe_of(name, paper_faithful=True)


def test_a_shorter_recipe_is_annealed_over_its_own_epochs() -> None:
    recipe = recipe_of("compact").lasting(6)
    assert recipe == replace(recipe_of("compact"), schedule=recipe.schedule)
    assert recipe.schedule.rate(0) == pytest.approx(1e-3)
    assert recipe.schedule.rate(3) == pytest.approx(5e-4)
