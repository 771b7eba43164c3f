import subprocess
import sys

import pytest
from unite_core.cli.sample_options import parse_options
from unite_core.errors import ConfigurationError
from unite_core.recipes import check, load_recipe, recipe_paths
from unite_image import PICTURES, plugin
from unite_image.config import ImageConfig, ImageDecoderConfig, ImageSampleOptions
from unite_image.sources import READERS

RECIPES = sorted(plugin.recipes.glob("*.yaml"))


def test_there_is_a_latent_for_each_patch():
    assert ImageConfig(resolution=256, patch=16).patches == 256
    assert ImageConfig(resolution=48, patch=16).patches == 9


def test_resolution_that_the_patch_does_not_divide_is_named():
    with pytest.raises(ConfigurationError, match="patch 16 does not divide resolution 100"):
        check(ImageConfig, {"resolution": 100, "patch": 16}, "data.")


@pytest.mark.parametrize("sizes", [{"width": 100, "heads": 16}, {"width": 30, "heads": 5}])
def test_decoder_width_that_does_not_split_is_named(sizes):
    with pytest.raises(ConfigurationError, match=r"data.decoder.*multiple of heads"):
        check(ImageConfig, {"decoder": sizes}, "data.")


def test_defaults_are_the_published_base_decoder():
    assert ImageDecoderConfig() == ImageDecoderConfig(
        depth=12, width=768, heads=12, mlp=3072, inner=768
    )


@pytest.mark.parametrize("recipe", [path.stem for path in RECIPES])
def test_recipe_is_valid(recipe):
    config = load_recipe(recipe)
    assert recipe_paths()[recipe].parent == plugin.recipes
    assert str(config.output) == f"runs/{recipe}"
    assert config.encoder.width % config.encoder.heads == 0
    if config.encoder.in_context is not None:
        assert config.encoder.in_context.start < config.encoder.depth


def test_published_recipes_follow_the_paper():
    for recipe, epochs in (("imagenet-256-base", 240), ("imagenet-256-large", 120)):
        config = load_recipe(recipe)
        images = config.training.steps * config.training.batch_size
        assert images / 1_281_167 == pytest.approx(epochs, rel=1e-3)
        warmup = config.training.warmup_steps * config.training.batch_size
        assert warmup / 1_281_167 == pytest.approx(20, rel=1e-3)
        assert config.optimizer.learning_rate == pytest.approx(1e-4 * 1024 / 384, rel=2e-3)
        assert config.objective.draws == 14
        assert config.objective.time_shift == 0.5
        assert config.training.ema_decay == 0.9978


def test_emoji_needs_no_download():
    for recipe in ("emoji-demo", "emoji-small"):
        assert load_recipe(recipe).data["loss"]["perceptual"] == 0


def test_files_that_are_read_have_their_endings_announced():
    assert {*PICTURES, *READERS} == set(plugin.suffixes)


def test_class_is_an_option_of_sampling():
    options = parse_options(ImageSampleOptions, ["--class", "golden retriever"], [])
    assert options.class_name == "golden retriever"
    assert parse_options(ImageSampleOptions, [], []).class_name is None


def test_configuration_needs_no_torch():
    code = "import sys, unite_image; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
