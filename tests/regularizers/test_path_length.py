from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.regularizers.path_length import PathLength
from ganforge.streams import Noise
from tests.regularizers.turns import LATENT, SHAPE, Linear, context
from tests.support import games

PLACES = SHAPE[1] * SHAPE[2]


def lengths(noise: Noise, matrix: Tensor) -> Tensor:
    """|A^T y| of G(z) = A z, drawn as the regularizer draws: the latents come first."""
    noise.normal(LATENT)
    y = noise.normal(*SHAPE).flatten(1) / math.sqrt(PLACES)
    return (y @ matrix).norm(dim=1)


def test_linear_generator():
    """J is A everywhere, so that |J^T y| = |A^T y|."""
    regularizer, at_hand = PathLength(), context(Noise(5, 6))
    regularizer.mean.fill_(1.5)
    matrix = at_hand.generator.matrix
    expected = (lengths(Noise(5, 6), matrix) - 1.5).square().mean()
    penalty = regularizer.term(at_hand)
    torch.testing.assert_close(penalty, expected)
    derivatives = [torch.autograd.grad(value, matrix)[0] for value in (penalty, expected)]
    torch.testing.assert_close(*derivatives)


def test_an_orthogonal_jacobian_has_lengths_of_known_mean_square():
    """E|A^T y|^2 = |A|_F^2 / HW: of K orthonormal columns, K / HW."""
    at_hand = context(Noise(0, 4096))
    with torch.no_grad():
        at_hand.generator.matrix.copy_(torch.linalg.qr(at_hand.generator.matrix)[0])
    squares = PathLength().slopes(at_hand).square().sum(1)
    assert squares.mean().item() == pytest.approx(LATENT / PLACES, rel=0.05)


def test_labels_go_with_their_latents():
    """In a class c, G(z) = (1 + c) A z."""
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    regularizer = PathLength(shrink=2)
    slopes = regularizer.slopes(context(Noise(5, 6), labels))
    plain = PathLength().slopes(context(Noise(5, 6)))
    torch.testing.assert_close(slopes, (1 + labels[::2, None]) * plain[::2])


def test_running_mean():
    """a <- a + decay (mean - a), after the update; the update itself meets the mean before it."""
    regularizer = PathLength(decay=0.25)
    expected = torch.zeros(())
    for seed in range(3):
        at_hand = context(Noise(seed, 6))
        found = lengths(Noise(seed, 6), at_hand.generator.matrix).detach()
        penalty = regularizer.term(at_hand)
        torch.testing.assert_close(penalty.detach(), (found - expected).square().mean())
        assert torch.equal(regularizer.mean, expected)
        regularizer.settle()
        expected = expected + 0.25 * (found.mean() - expected)
        torch.testing.assert_close(regularizer.mean, expected)
        expected = regularizer.mean.clone()
    regularizer.settle()  # an update in which it was not due
    assert torch.equal(regularizer.mean, expected)
    assert list(regularizer.state_dict()) == ["mean"]


@pytest.mark.parametrize("shrink", [1, 2])
def test_parts_of_a_batch_make_one_update_of_the_mean(shrink):
    whole, parted = PathLength(shrink=shrink), PathLength(shrink=shrink)
    penalty = whole.term(context(Noise(5, 8)))
    pieces = [parted.term(context(piece)) for piece in Noise(5, 8).split(2)]
    torch.testing.assert_close(sum(pieces) / 2, penalty)
    for regularizer in (whole, parted):
        regularizer.settle()
    torch.testing.assert_close(parted.mean, whole.mean)


def test_parts_of_a_batch_train_the_same_generator(tmp_path):
    after = []
    for parts in (1, 2):
        terms = {"path_length": PathLength(every=2, decay=0.5)}
        model = games.game(regularizers=terms, accumulate=parts)
        games.fit(model, tmp_path, max_steps=4)
        after.append(games.weights(model))
    assert after[0]["regularizers.path_length.mean"] > 0
    games.assert_close(*after, atol=1e-5)


def test_descent_makes_the_jacobian_orthogonal():
    """Up to a factor: a step in any direction then changes the image by the same length, a."""
    regularizer, generator = PathLength(), Linear()
    regularizer.mean.fill_(1.0)
    with torch.no_grad():
        generator.matrix *= torch.tensor([4.0, 2.0, 1.0])
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.1)
    for step in range(150):
        optimizer.zero_grad()
        regularizer.term(context(Noise(step, 64), generate=generator)).backward()
        optimizer.step()
    stretches = torch.linalg.svdvals(generator.matrix.detach())
    assert stretches.max() < 1.2 * stretches.min()
    # Lengths are s r, r = chi_3 / sqrt(HW), and E[(s r - 1)^2] is least at s = E[r] / E[r^2].
    best = math.sqrt(PLACES) * math.sqrt(8 / math.pi) / 3
    assert stretches.mean().item() == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize("lazily", [1, 2])
def test_trains_and_is_logged(lazily, tmp_path):
    points = games.Points()
    model = games.game(regularizers={"path_length": PathLength(every=lazily)})
    games.fit(model, tmp_path, max_steps=4, logger=points)
    assert len(set(points.column("generator/path_length"))) == 4 // lazily
    assert all(value.isfinite().all() for value in games.weights(model).values())


@pytest.mark.parametrize(
    "arguments", [{"decay": 0.0}, {"decay": 1.5}, {"shrink": 0}, {"weight": -1.0}, {"every": 0}]
)
def test_refusals(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        PathLength(**arguments)
