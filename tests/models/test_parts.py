from __future__ import annotations

from typing import Required, get_args, get_origin, get_type_hints

import pytest

from ganforge.config.types import hints_of, parameters_of
from ganforge.models import GAN, AdversarialModule, StyleGAN2, TranslationModel
from ganforge.models.parts import AdversarialParts, GANParts, StyleParts, TranslationParts

OWN_DEFAULTS = {"adversarial_weight", "discriminator_weight"}


@pytest.mark.parametrize(
    ("parts", "game", "left_out"),
    [
        (AdversarialParts, AdversarialModule, set()),
        (GANParts, GAN, set()),
        (StyleParts, StyleGAN2, set()),
        (TranslationParts, TranslationModel, OWN_DEFAULTS),
    ],
)
def test_parts_are_the_arguments_of_the_model(parts, game, left_out):
    """An argument that is missing in a game's parts would be out of reach of its subclasses."""
    parameters, _ = parameters_of(game)
    types = get_type_hints(parts, include_extras=True)
    assert types.keys() == parameters.keys() - left_out
    for name, kind in types.items():
        required = get_origin(kind) is Required
        assert required == (parameters[name].default is parameters[name].empty), name
        assert (get_args(kind)[0] if required else kind) == hints_of(game)[name], name
