from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ganforge.errors import ConfigError
from ganforge.networks.layers.attention import SelfAttention, attention_layers
from ganforge.networks.layers.initialization import normalize_spectrum


def layer(channels=16, gamma=0.7):
    torch.manual_seed(0)
    attention = SelfAttention(channels)
    torch.nn.init.constant_(attention.gamma, gamma)
    return attention


def explicit(attention, x):
    """The paper's formulas, place by place: beta_ji = softmax_i(f(x_i) . g(x_j))."""
    f = F.max_pool2d(attention.f(x), 2).flatten(2)  # [B, C/8, N/4]
    h = F.max_pool2d(attention.h(x), 2).flatten(2)  # [B, C/2, N/4]
    g = attention.g(x).flatten(2)  # [B, C/8, N]
    scores = torch.einsum("bci,bcj->bij", f, g)
    beta = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
    o = torch.einsum("bij,bci->bcj", beta, h).view(len(x), -1, *x.shape[2:])
    return x + attention.gamma * attention.v(o)


@pytest.mark.parametrize("size", [(4, 4), (6, 2), (5, 7), (2, 2)])
def test_it_is_the_papers_formula(size):
    attention, x = layer().double(), torch.randn(3, 16, *size).double()
    torch.testing.assert_close(attention(x), explicit(attention, x), rtol=1e-12, atol=1e-12)
    with torch.no_grad():  # another kernel, the same numbers
        torch.testing.assert_close(attention(x), explicit(attention, x), rtol=1e-9, atol=1e-9)


def test_it_starts_as_the_identity():
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(SelfAttention(8)(x), x)


def test_by_hand():
    """One channel, identity convolutions: 2x2 places, one pooled key, so every score is alone."""
    attention = layer(1, gamma=1.0)
    for convolution in (attention.f, attention.g, attention.h, attention.v):
        torch.nn.init.ones_(convolution.weight)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert torch.equal(attention(x), x + 4)  # the softmax over one key is 1; its value is max x


def test_parameters():
    """C/8 twice, C/2 twice, and gamma: at 64 channels 2 * 64 * 8 + 2 * 64 * 32 + 1."""
    assert sum(p.numel() for p in SelfAttention(64).parameters()) == 5121


def test_gradients_are_differentiable():
    """A penalty on the input's gradient reaches every weight, and agrees with finite differences"""
    attention, x = layer(8).double(), torch.randn(1, 8, 2, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(attention, x)
    assert torch.autograd.gradgradcheck(attention, x)
    (slope,) = torch.autograd.grad(attention(x).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_images_do_not_mix():
    attention, x = layer(), torch.randn(4, 16, 4, 4)
    torch.testing.assert_close(attention(x)[1:2], attention(x[1:2]))


def test_attention_commutes_with_transposition():
    """A transposed image gives the transposed answer: places have no order."""
    attention, x = layer(), torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(attention(x).mT, attention(x.mT))


def test_spectral_norm_reaches_the_convolutions():
    attention = layer()
    normalize_spectrum(attention)
    x = torch.randn(2, 16, 4, 4)
    for _ in range(50):
        attention(x)
    for convolution in (attention.f, attention.g, attention.h, attention.v):
        top = torch.linalg.matrix_norm(convolution.weight.flatten(1), 2)
        assert top.item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_layouts(memory, dtype):
    attention, x = layer(), torch.randn(2, 16, 4, 4)
    plain = attention(x)
    with torch.autocast("cpu", dtype):
        half = attention.to(memory_format=memory)(x.contiguous(memory_format=memory))
    torch.testing.assert_close(half.float(), plain, rtol=0.05, atol=0.05)


def test_refuses():
    with pytest.raises(ConfigError, match="channels must be at least 1"):
        SelfAttention(0)
    for wrong in ([7], [8, 64]):
        with pytest.raises(ConfigError, match=r"Net: attention must list .* out of 8, 16; got"):
            attention_layers("Net", wrong, 32, [16, 8, 8], [2, 2, 2])
    with pytest.raises(ConfigError, match="Net: attention must be auto or a list; got 'all'"):
        attention_layers("Net", "all", 32, [16, 8], [2, 2])


def test_attention_follows_the_first_block_of_its_resolution():
    layers = attention_layers("Net", [8, 16], 32, [16, 8, 8], [2, 4, 4])
    assert {index: layer.f.in_channels for index, layer in layers.items()} == {"0": 2, "1": 4}
    x = torch.randn(2, 4, 2, 2)
    torch.nn.init.ones_(layers["1"].gamma)
    assert torch.equal(layers.after(1, x), layers["1"](x))
    assert layers.after(2, x) is x
    assert len(attention_layers("Net", [], 32, [16, 8, 8], [2, 4, 4])) == 0


@pytest.mark.parametrize(("size", "side"), [(16, 8), (32, 16), (48, 24), (64, 32), (128, 32)])
def test_auto_is_32_or_half_the_image(size, side):
    sides = [8, 16, 24, 32, 64]
    assert list(attention_layers("Net", "auto", size, sides, [1] * 5)) == [str(sides.index(side))]


@pytest.mark.parametrize("gradients", [True, False])
def test_no_backend_is_allowed_that_may_refuse_the_shapes(monkeypatch, gradients):
    """cuDNN raises for shapes it has no plan for; fused kernels have no second derivative."""
    cuda, allowed, attend = torch.backends.cuda, [], F.scaled_dot_product_attention
    kinds = ["flash", "mem_efficient", "math", "cudnn"]

    def spy(*arguments, **settings):
        allowed.extend(kind for kind in kinds if getattr(cuda, f"{kind}_sdp_enabled")())
        return attend(*arguments, **settings)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    with torch.set_grad_enabled(gradients):
        layer()(torch.randn(2, 16, 4, 4))
    assert allowed == (["math"] if gradients else ["flash", "mem_efficient", "math"])


@pytest.mark.parametrize("gradients", [True, False])
def test_it_compiles_to_one_graph(gradients):
    attention, x = layer(), torch.randn(2, 16, 4, 4)
    compiled = torch.compile(attention, backend="eager", fullgraph=True)
    with torch.set_grad_enabled(gradients):
        assert torch.equal(compiled(x), attention(x))
