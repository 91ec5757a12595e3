"""The permutohedral lattice of a set of features (Adams, Baek & Davis 2010, §3), in torch.

    feature ──E──▶ elevated ──round──▶ the simplex around it: d + 1 vertices, weights that sum to 1

Operations and rounding follow pydensecrf step by step in float32, so that a feature on the border
of two simplices falls into the same one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

INT64_ROOM = 2**62
Number = Callable[[Tensor], tuple[Tensor, int]]


@dataclass(frozen=True)
class Simplices:
    """The simplex around each point: its vertex of remainder 0, and the order of coordinates.

    Attributes:
        corner: (d + 1, points) the vertex's coordinates divided by d + 1, integers.
        rank: (d + 1, points) rank of each coordinate's residual, 0 for the largest.
        weights: (points, d + 1) barycentric weights, by remainder of the vertex.
    """

    corner: Tensor
    rank: Tensor
    weights: Tensor


def simplices(features: Tensor) -> Simplices:
    """Return the simplices that enclose features (d, points) float32."""
    d = len(features)
    elevated = _elevated(features)
    corner = torch.round(elevated * torch.tensor(1 / (d + 1), dtype=torch.float32).item())
    rank = _ranks(elevated - corner * (d + 1))
    # A corner off the plane of zero sum is moved back along the largest or smallest residuals.
    rank += corner.sum(dim=0).to(rank.dtype)
    step = (rank < 0).to(rank.dtype) - (rank > d).to(rank.dtype)
    rank, corner = rank + (d + 1) * step, corner + step
    scale = torch.tensor(1 / (d + 1), dtype=torch.float32).item()
    residuals = (elevated - corner * (d + 1)) * scale
    return Simplices(corner.to(torch.int32), rank, _barycentric(residuals, rank))


def _elevated(features: Tensor) -> Tensor:
    """Return E times the features (d + 1, points), which lie on the plane of zero sum."""
    d = len(features)
    # The lattice's blur has a standard deviation of sqrt(3/2) / (d + 1).
    std = torch.tensor(math.sqrt(2 / 3) * (d + 1), dtype=torch.float32).item()
    total = torch.zeros_like(features[0])
    rows = []
    for axis in range(d, 0, -1):
        scale = torch.tensor(std / math.sqrt((axis + 1) * axis), dtype=torch.float32).item()
        scaled = features[axis - 1] * scale
        rows.append(total - scaled * axis)
        total = total + scaled
    return torch.stack([total, *reversed(rows)])


def _ranks(residuals: Tensor) -> Tensor:
    """Count the residuals that are larger than each one; among equal ones the later ranks first."""
    ranks = torch.zeros_like(residuals, dtype=torch.int32)
    for i in range(len(residuals) - 1):
        is_less = (residuals[i] < residuals[i + 1 :]).to(torch.int32)
        ranks[i] += is_less.sum(dim=0).to(torch.int32)
        ranks[i + 1 :] += 1 - is_less
    return ranks


def _barycentric(residuals: Tensor, rank: Tensor) -> Tensor:
    """Return the weights (points, d + 1) of the vertices: differences of sorted residuals."""
    d = len(residuals) - 1
    ordered = torch.empty_like(residuals).scatter_(0, (d - rank).long(), residuals)
    weights = torch.empty_like(residuals)
    weights[0] = ordered[0] + (1 - ordered[d])
    weights[1:] = ordered[1:] - ordered[:-1]
    return weights.T.contiguous()


def vertices(corner: Tensor, rank: Tensor) -> Tensor:
    """Return the vertices (d, simplices, d + 1) of simplices, without the last coordinate.

    The last coordinate follows from the others, since their sum is zero.
    """
    d = len(corner) - 1
    remainder = torch.arange(d + 1, device=corner.device, dtype=torch.int32)
    base, place = corner[:d, :, None] * (d + 1), rank[:d, :, None]
    wrapped = (place > d - remainder).to(torch.int32)
    return base + remainder - (d + 1) * wrapped


def steps(d: int) -> list[list[int]]:
    """Return the d + 1 directions of the blur; the opposite neighbours lie at their negatives."""
    return [[d if i == axis else -1 for i in range(d)] for axis in range(d + 1)]


@dataclass
class Numbering:
    """Points of integer coordinates, numbered 0, 1, ... in the order of their mixed-radix codes.

    If a code would exceed an int64 (many bands), the code of the first coordinates is replaced by
    its number before it is continued.

    Attributes:
        low: smallest code digit per coordinate.
        radices: number of digits per coordinate, with `margin` beyond the points on both sides.
        levels: sorted codes that occur, one tensor per replacement.
    """

    low: list[int]
    radices: list[int]
    levels: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, points: Tensor, margin: int = 0) -> tuple["Numbering", Tensor]:
        """Number points (d, n), and return the numbering and their numbers (n,)."""
        low, high = points.amin(dim=1).tolist(), points.amax(dim=1).tolist()
        pairs = list(zip(low, high, strict=True))
        numbering = cls([a - margin for a, _ in pairs], [b - a + 1 + 2 * margin for a, b in pairs])

        def add_level(code: Tensor) -> tuple[Tensor, int]:
            level, number = torch.unique(code, return_inverse=True)
            numbering.levels.append(level)
            return number, len(level)

        return numbering, numbering._encode(points, add_level)

    def __len__(self) -> int:
        return len(self.levels[-1])

    def find(self, points: Tensor) -> Tensor:
        """Return the numbers of points within the margin; `len(self)` if a point does not occur."""
        levels = iter(self.levels)
        absent = torch.zeros(points.shape[1], dtype=torch.bool, device=points.device)

        def look_up(code: Tensor) -> tuple[Tensor, int]:
            level = next(levels)
            index = torch.searchsorted(level, code).clamp_(max=len(level) - 1)
            absent.logical_or_(level[index] != code)
            return index, len(level)

        return self._encode(points, look_up).masked_fill_(absent, len(self))

    def _encode(self, points: Tensor, number: Number) -> Tensor:
        code, size = torch.zeros_like(points[0], dtype=torch.int64), 1
        for digits, low, radix in zip(points, self.low, self.radices, strict=True):
            if size * radix > INT64_ROOM:
                code, size = number(code)
            code = code * radix + (digits.long() - low)
            size *= radix
        return number(code)[0]
