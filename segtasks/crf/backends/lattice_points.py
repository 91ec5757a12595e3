"""The permutohedral lattice of a set of features (Adams, Baek & Davis 2010, §3), in torch.

    feature ──E──▶ elevated ──round──▶ the simplex around it: d + 1 vertices, weights that sum to 1

Written as pydensecrf rounds it, operation by operation in float32, so that a feature on the border
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
        corner: (d + 1, points) the vertex's coordinates over d + 1, whole numbers.
        rank: (d + 1, points) place of each coordinate's rest, 0 the greatest.
        weights: (points, d + 1) barycentric, by remainder of the vertex.
    """

    corner: Tensor
    rank: Tensor
    weights: Tensor


def simplices(features: Tensor) -> Simplices:
    """Enclosing simplices of (d, points) float32 features."""
    d = len(features)
    elevated = _elevated(features)
    corner = torch.round(elevated * torch.tensor(1 / (d + 1), dtype=torch.float32).item())
    rank = _ranks(elevated - corner * (d + 1))
    # A corner off the plane of zero sum is brought back along the greatest or least rests.
    rank += corner.sum(dim=0).to(rank.dtype)
    step = (rank < 0).to(rank.dtype) - (rank > d).to(rank.dtype)
    rank, corner = rank + (d + 1) * step, corner + step
    rests = (elevated - corner * (d + 1)) * torch.tensor(1 / (d + 1), dtype=torch.float32).item()
    return Simplices(corner.to(torch.int32), rank, _barycentric(rests, rank))


def _elevated(features: Tensor) -> Tensor:
    """E times the features, on the plane of zero sum: (d + 1, points)."""
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


def _ranks(rests: Tensor) -> Tensor:
    """How many rests are greater than each; of equal ones the later comes first."""
    ranks = torch.zeros_like(rests, dtype=torch.int32)
    for i in range(len(rests) - 1):
        is_less = (rests[i] < rests[i + 1 :]).to(torch.int32)
        ranks[i] += is_less.sum(dim=0).to(torch.int32)
        ranks[i + 1 :] += 1 - is_less
    return ranks


def _barycentric(rests: Tensor, rank: Tensor) -> Tensor:
    """Weights (points, d + 1) of the vertices: differences of the rests in falling order."""
    d = len(rests) - 1
    ordered = torch.empty_like(rests).scatter_(0, (d - rank).long(), rests)
    weights = torch.empty_like(rests)
    weights[0] = ordered[0] + (1 - ordered[d])
    weights[1:] = ordered[1:] - ordered[:-1]
    return weights.T.contiguous()


def vertices(corner: Tensor, rank: Tensor) -> Tensor:
    """Lattice points (d, simplices, d + 1) of simplices; the last coordinate follows from them."""
    d = len(corner) - 1
    remainder = torch.arange(d + 1, device=corner.device, dtype=torch.int32)
    base, place = corner[:d, :, None] * (d + 1), rank[:d, :, None]
    wrapped = (place > d - remainder).to(torch.int32)
    return base + remainder - (d + 1) * wrapped


def steps(d: int) -> list[list[int]]:
    """The d + 1 directions of the blur; its other neighbours lie at their negatives."""
    return [[d if i == axis else -1 for i in range(d)] for axis in range(d + 1)]


@dataclass
class Numbering:
    """Points of whole coordinates, numbered 0, 1, ... in the order of their mixed-radix codes.

    Where a code outgrows an int64 (many bands), the part so far is numbered first.

    Attributes:
        low: least code digit per coordinate.
        radices: digits per coordinate, `margin` beyond the points on both sides.
        levels: sorted codes that occur, per numbering.
    """

    low: list[int]
    radices: list[int]
    levels: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, points: Tensor, margin: int = 0) -> tuple["Numbering", Tensor]:
        """The numbering of (d, n) points, and their numbers (n,)."""
        low, high = points.amin(dim=1).tolist(), points.amax(dim=1).tolist()
        pairs = list(zip(low, high, strict=True))
        made = cls([a - margin for a, _ in pairs], [b - a + 1 + 2 * margin for a, b in pairs])
        return made, made._coded(points, made._learn)

    def __len__(self) -> int:
        return len(self.levels[-1])

    def find(self, points: Tensor) -> Tensor:
        """Numbers of points within the margin; `len(self)` for those that do not occur."""
        levels = iter(self.levels)
        absent = torch.zeros(points.shape[1], dtype=torch.bool, device=points.device)

        def look_up(code: Tensor) -> tuple[Tensor, int]:
            level = next(levels)
            place = torch.searchsorted(level, code).clamp_(max=len(level) - 1)
            absent.logical_or_(level[place] != code)
            return place, len(level)

        return self._coded(points, look_up).masked_fill_(absent, len(self))

    def _learn(self, code: Tensor) -> tuple[Tensor, int]:
        level, number = torch.unique(code, return_inverse=True)
        self.levels.append(level)
        return number, len(level)

    def _coded(self, points: Tensor, number: Number) -> Tensor:
        code, size = torch.zeros_like(points[0], dtype=torch.int64), 1
        for digits, low, radix in zip(points, self.low, self.radices, strict=True):
            if size * radix > INT64_ROOM:
                code, size = number(code)
            code = code * radix + (digits.long() - low)
            size *= radix
        return number(code)[0]
