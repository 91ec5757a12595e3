"""Run SegNet by its layer tables, layer by layer and with loops over windows: simple and slow.

facts/networks.md section 2.
"""

import torch
from torch import Tensor
from torch.nn import functional

State = dict[str, Tensor]
Places = list[tuple[int, ...]]

ENCODER = [["conv1_1", "conv1_2"], ["conv2_1", "conv2_2"]] + [
    [f"conv{level}_{i}" for i in (1, 2, 3)] for level in (3, 4, 5)
]
DECODER = [[f"{key}_D" for key in reversed(keys)] for keys in reversed(ENCODER)]
BASIC_ENCODER = [[f"conv{level}"] for level in (1, 2, 3, 4)]
BASIC_DECODER = [[f"conv_decode{level}"] for level in (4, 3, 2, 1)]


def maxima(x: Tensor) -> tuple[Tensor, Places]:
    """Return the maximum of each 2x2 window, cropped at the border, and its first position."""
    N, C, H, W = x.shape
    pooled = x.new_zeros(N, C, -(-H // 2), -(-W // 2))
    places: Places = []
    for n, c, i, j in torch.cartesian_prod(*(torch.arange(size) for size in pooled.shape)).tolist():
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        row, col = divmod(int(window.argmax()), window.shape[1])
        pooled[n, c, i, j] = window[row, col]
        places.append((n, c, 2 * i + row, 2 * j + col))
    return pooled, places


def put_back(x: Tensor, places: Places, size: torch.Size) -> Tensor:
    """Put each value where the maximum was, in a map of zeros of the size before pooling."""
    y = x.new_zeros(*x.shape[:2], *size)
    for place, value in zip(places, x.flatten(), strict=True):
        y[place] = value
    return y


def convolved(state: State, key: str, x: Tensor, *, relu: bool) -> Tensor:
    """Run a same-size convolution with bias, BatchNorm with eps 1e-9, and optionally ReLU."""
    x = plain(state, key, x)
    mean, var, scale, shift = (
        state[f"{key}.bn.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    y = (x - mean) / (var + 1e-9).sqrt() * scale + shift
    return y.clamp(min=0) if relu else y


def plain(state: State, key: str, x: Tensor) -> Tensor:
    weight = state[f"{key}.weight"]
    return functional.conv2d(x, weight, state[f"{key}.bias"], padding=weight.shape[2] // 2)


def table(
    state: State, x: Tensor, encoder: list[list[str]], decoder: list[list[str]], last: str
) -> Tensor:
    """Run the layers of a table; ``last`` has neither BatchNorm nor ReLU."""
    pile = []
    for keys in encoder:
        for key in keys:
            x = convolved(state, key, x, relu=True)
        size = x.shape[2:]
        x, places = maxima(x)
        pile.append((places, size))
    for keys in decoder:
        x = put_back(x, *pile.pop())
        for key in keys:
            if key != last:
                x = convolved(state, key, x, relu=not key.startswith("conv_decode"))
    return plain(state, last, x)


def normalised(x: Tensor) -> Tensor:
    """Krizhevsky et al. 2012, sec. 3.3, as Caffe has it: five channels, alpha / 5 per square."""
    C = x.shape[1]
    y = torch.empty_like(x)
    for c in range(C):
        squares = x[:, max(0, c - 2) : c + 3].square().sum(dim=1)
        y[:, c] = x[:, c] / (1 + 1e-4 / 5 * squares) ** 0.75
    return y
