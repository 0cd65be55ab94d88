from __future__ import annotations

import torch

from ganforge.networks.stylegan import AdaIN, adain


def test_each_map_gets_the_mean_and_deviation_asked_for():
    torch.manual_seed(0)
    features = 5 * torch.randn(2, 3, 8, 8) + 7
    gain, shift = torch.randn(2, 3), torch.randn(2, 3)
    variance, mean = torch.var_mean(adain(features, gain, shift), dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, shift)
    torch.testing.assert_close(variance.sqrt(), gain.abs())


def test_it_is_equation_1():
    torch.manual_seed(0)
    features = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    gain, shift = torch.randn(2, 2, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    out = adain(features, gain, shift, eps=0.0)
    for b in range(2):
        for c in range(2):
            x = features[b, c]
            deviation = ((x - x.mean()) ** 2).mean() ** 0.5
            expected = gain[b, c] * (x - x.mean()) / deviation + shift[b, c]
            torch.testing.assert_close(out[b, c], expected)


def test_gradients_and_their_gradients():
    torch.manual_seed(0)
    inputs = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 2, 3, 3), (2, 2), (2, 2))
    ]
    assert torch.autograd.gradcheck(adain, inputs)
    assert torch.autograd.gradgradcheck(adain, inputs)


def test_a_constant_map_has_finite_gradients():
    features = torch.ones(1, 1, 4, 4, requires_grad=True)
    adain(features, torch.ones(1, 1), torch.zeros(1, 1)).square().sum().backward()
    assert torch.isfinite(features.grad).all()


def test_half_precision_does_not_overflow():
    features = 1000 * torch.randn(1, 1, 8, 8)
    out = adain(features.half(), torch.ones(1, 1), torch.zeros(1, 1))
    assert out.dtype == torch.float16
    expected = adain(features, torch.ones(1, 1), torch.zeros(1, 1))
    torch.testing.assert_close(out.float(), expected, atol=0.01, rtol=0.01)


def test_styles_start_near_gain_1_and_shift_0():
    torch.manual_seed(0)
    layer = AdaIN(channels=64, w_dim=32)
    w = torch.zeros(1, 32)
    variance, mean = torch.var_mean(layer(torch.randn(1, 64, 8, 8), w), dim=(2, 3), correction=0)
    torch.testing.assert_close(variance, torch.ones(1, 64))
    torch.testing.assert_close(mean, torch.zeros(1, 64), atol=1e-6, rtol=0)
