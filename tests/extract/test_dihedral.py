"""Laws of the movements of a square, and of the networks to which they make no difference."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from simsearch.extract.networks.dihedral import ORDER, inverse, moved, of_all_forms, tie, together
from simsearch.extract.networks.resnet import ResNet, ResNetArguments

ARGUMENTS = ResNetArguments(
    *("basic", (1, 2, 1, 1), (8, 16, 16, 24), "plain", 16, "d", 0.0, 20),
    scales=(1.0, 0.63, 0.4),
    luminance=True,
    symmetric=True,
)
SIZE = 163  # parts of 65 places


def network(seed: int = 0, arguments: ResNetArguments = ARGUMENTS) -> ResNet:
    """A network of random weights, norms and running statistics, tied."""
    torch.manual_seed(seed)
    made = ResNet(arguments)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5), module.bias.normal_(0, 0.2)
                module.momentum = 1.0
        made(pictures(8))  # whose statistics the norms take
    tie(made)
    return made.eval()


def pictures(count: int) -> Tensor:
    """Pictures (n, 3, s, s) of 7 x 7 fields of one colour each."""
    return interpolate(torch.rand(count, 3, 7, 7), SIZE, mode="nearest")


def test_movements_together_are_one_after_the_other() -> None:
    x = torch.randn(2, 4, 4)
    for first, then in itertools.product(range(ORDER), repeat=2):
        assert torch.equal(moved(moved(x, first), then), moved(x, together(first, then)))
    assert all(together(g, inverse(g)) == together(inverse(g), g) == 0 for g in range(ORDER))


@pytest.mark.parametrize("movement", range(ORDER))
@pytest.mark.parametrize("negative", [False, True])
def test_the_row_is_that_of_every_form_and_of_the_negative(movement: int, *, negative: bool) -> None:
    torch.manual_seed(2)
    x = pictures(3)
    other = moved(1 - x if negative else x, movement)
    made = network()
    with torch.inference_mode():
        rows, others = made(x), made(other)
    assert (rows[0] - rows[1]).abs().max() > 1e-3, "the network tells pictures apart"
    torch.testing.assert_close(others, rows, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("movement", range(ORDER))
def test_a_movement_moves_the_planes_and_their_order(movement: int) -> None:
    made, x = network(1), torch.randn(2, 1, 65, 65)
    with torch.inference_mode():
        places, others = (made.stages(made.stem(y)).unflatten(1, (-1, ORDER)) for y in (x, moved(x, movement)))
    for g in range(ORDER):
        torch.testing.assert_close(
            others[:, :, together(g, movement)], moved(places[:, :, g], movement), atol=1e-4, rtol=1e-3
        )


def test_what_is_tied_stays_when_it_is_tied_again() -> None:
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    tie(made)
    for name, value in made.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=1e-5)


def test_tied_gradients_are_those_of_the_free_weights() -> None:
    """A step along any tied direction changes the loss as the untied gradient says."""
    made, x = network().train(), pictures(4)
    (made(x) ** 2).sum().backward()
    raw = {name: value.grad.clone() for name, value in made.named_parameters()}
    tie(made, gradients=True)
    direction = network(5)
    for (name, value), along in zip(made.named_parameters(), direction.parameters(), strict=True):
        assert value.grad is not None
        torch.testing.assert_close((value.grad * along).sum(), (raw[name] * along).sum(), atol=1e-4, rtol=1e-3)


def test_all_forms_of_the_pooled_channels_are_eight_orders() -> None:
    forms = of_all_forms(torch.arange(16.0).view(1, 16))
    assert torch.equal(forms[0], torch.arange(16.0))
    assert len({tuple(form.tolist()) for form in forms}) == ORDER
    assert all(sorted(form[:8].tolist()) == list(range(8)) for form in forms)


@pytest.mark.parametrize("wrong", [{"row": 0}, {"luminance": False}, {"widths": (8, 16, 20, 24)}, {"stem": "d"}])
def test_what_cannot_be_symmetric_is_refused(wrong: dict[str, object]) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="symmetric needs luminance"):
        ResNet(replace(ARGUMENTS, **wrong))
