"""The blocks of RefineNet. Lin et al. 2017, arXiv:1611.06612, fig. 3.

    tap -> reduce -> adapt, 2 RCU -> own ---.
                                            + -> chained residual pooling -> output, 3 RCU
    deeper block -> deeper -> enlarge ------'

    RCU                x -> ReLU -> 3x3 -> ReLU -> 3x3 -> + x
    chained pooling    x = ReLU(x);  y = x;  4 times: y = 3x3(max 5x5(y)), x += y

RCU is a residual convolution unit. All convolutions are 3x3, without BatchNorm. The deepest block
has no fusion.
"""

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from segtasks.errors import ModelError
from segtasks.networks.architectures.doubling import Doubling
from segtasks.networks.architectures.layers import ConvRelu

conv3x3 = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
"""A 3x3 convolution without bias, given ``in_channels`` and ``out_channels``."""


class ResidualConvUnit(nn.Module):
    """A residual convolution unit. Keys ``conv1`` (with a bias), ``conv2``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvRelu(channels, channels, 3, padding=1)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, h, w) -> the same shape."""
        y: Tensor = self.conv2(self.conv1(functional.relu(x)))
        return y.add_(x)


def residual_units(channels: int, count: int) -> nn.Sequential:
    """Return ``count`` units in sequence: (N, D, h, w) -> the same shape."""
    return nn.Sequential(*(ResidualConvUnit(channels) for _ in range(count)))


class ChainedPooling(nn.Module):
    """Chained residual pooling. Keys ``convs.0`` ...

    Args:
        channels: channels D of the map.
        pools: length of the chain.
        pool_first: pool before each convolution, as in the paper; False gives the "improved" block
            of the released code.
    """

    def __init__(self, channels: int, pools: int, *, pool_first: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(channels, channels) for _ in range(pools))
        self.maxpool = nn.MaxPool2d(5, stride=1, padding=2)
        self.pool_first = pool_first

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, h, w) -> the same shape."""
        x = functional.relu(x)
        y = x
        for conv in self.convs:
            y = conv(self.maxpool(y)) if self.pool_first else self.maxpool(conv(y))
            x = x + y
        return x


class Fusion(nn.Module):
    """The sum of two maps at the size of the larger. Keys ``own``, ``deeper``.

    Args:
        deeper: channels E of the deeper map.
        channels: channels D of the other map and of the result.
        enlarge: upsamples the deeper map to the size of the other.
    """

    def __init__(self, deeper: int, channels: int, enlarge: nn.Module) -> None:
        super().__init__()
        self.own = conv3x3(channels, channels)
        self.deeper = conv3x3(deeper, channels)
        self.enlarge = enlarge

    def forward(self, own: Tensor, deeper: Tensor) -> Tensor:
        """(N, D, h, w) and (N, E, h/2, w/2) -> (N, D, h, w)."""
        y: Tensor = self.own(own)
        return y.add_(self.enlarge(self.deeper(deeper)))


class RefineBlock(nn.Module):
    """One block. Keys ``reduce``, ``adapt``, ``fusion``, ``pooling``, ``output``."""

    def __init__(
        self, tap: int, channels: int, pooling: ChainedPooling, fusion: Fusion | None = None
    ) -> None:
        super().__init__()
        self.reduce = conv3x3(tap, channels)
        self.adapt = residual_units(channels, 2)
        self.fusion = fusion
        self.pooling = pooling
        self.output = residual_units(channels, 3)

    def forward(self, tap: Tensor, deeper: Tensor | None = None) -> Tensor:
        """(N, C, h, w), and the output of the deeper block if they are fused -> (N, D, h, w)."""
        y = self.adapt(self.reduce(tap))
        if self.fusion is not None and deeper is not None:
            y = self.fusion(y, deeper)
        out: Tensor = self.output(self.pooling(y))
        return out


@dataclass(frozen=True)
class Style:
    """Options in which the published RefineNets differ.

    Attributes:
        pools: length of the chains.
        upsampling: method of `Doubling`.
        pool_first: whether the chains pool before each convolution.
    """

    pools: int
    upsampling: str
    pool_first: bool = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.pools < 1:
            raise ModelError(f"chained_pools is {self.pools}; it must be at least 1")

    def pooling(self, channels: int) -> ChainedPooling:
        """Return the chain of a block of ``channels``."""
        return ChainedPooling(channels, self.pools, pool_first=self.pool_first)


def refine_block(
    tap: int, channels: int, style: Style, *, deeper: int = 0, doublings: int = 1
) -> RefineBlock:
    """Return a block; with ``deeper`` channels it fuses a deeper map after ``doublings``."""
    pooling = style.pooling(channels)
    if not deeper:
        return RefineBlock(tap, channels, pooling)
    enlarge = Doubling(style.upsampling, doublings)
    return RefineBlock(tap, channels, pooling, Fusion(deeper, channels, enlarge))
