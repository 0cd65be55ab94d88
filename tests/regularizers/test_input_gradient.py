from __future__ import annotations

import pytest
import torch

from ganforge.networks.dcgan import DCGANDiscriminator
from ganforge.regularizers.input_gradient import input_gradient, norm, squared_norm
from tests.regularizers.critics import SHAPES, LinearCritic, batch, quadratic

shapes = pytest.mark.parametrize("shape", SHAPES)


@shapes
def test_gradients_of_known_critics(shape):
    x = batch(shape, 0)
    torch.testing.assert_close(input_gradient(quadratic, x), x)
    critic = LinearCritic(shape)
    torch.testing.assert_close(input_gradient(critic, x), critic.w.expand_as(x))


@shapes
def test_norms(shape):
    x = batch(shape, 0)
    flat = x.flatten(1)
    torch.testing.assert_close(squared_norm(x), (flat * flat).sum(1))
    torch.testing.assert_close(norm(x), flat.norm(dim=1))


def test_derivative_of_the_norm_at_zero_is_zero():
    x = torch.zeros(2, 3, requires_grad=True)
    norm(x).sum().backward()
    assert x.grad.tolist() == [[0] * 3] * 2


def test_works_under_no_grad_and_leaves_the_images_alone():
    x = batch((2,), 0)
    with torch.no_grad():
        assert torch.equal(input_gradient(quadratic, x), x)
    assert not x.requires_grad


@pytest.mark.parametrize("norm_name", ["instance", "layer", "none"])
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_second_derivative_through_a_discriminator(norm_name, spectral, layout):
    """The derivative of the squared gradient along a direction agrees with finite differences."""
    torch.manual_seed(0)
    critic = DCGANDiscriminator(16, 2, width=4, norm=norm_name, spectral_norm=spectral)
    critic = critic.double().to(memory_format=layout).eval()
    images = batch((2, 16, 16), 0, rows=3).double().to(memory_format=layout)
    (weight,) = [p for n, p in critic.named_parameters() if "head.logit" in n and p.ndim == 2]

    def penalty():
        return squared_norm(input_gradient(critic, images)).mean()

    (derivative,) = torch.autograd.grad(penalty(), weight)
    step = torch.randn(weight.shape, dtype=torch.float64, generator=torch.manual_seed(1)) * 1e-6
    with torch.no_grad():
        weight += step
        above = penalty()
        weight -= 2 * step
        below = penalty()
    assert derivative.abs().sum() > 0
    torch.testing.assert_close((derivative * 2 * step).sum(), above - below, rtol=1e-5, atol=1e-14)
