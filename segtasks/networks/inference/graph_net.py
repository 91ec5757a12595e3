"""A foreign graph as the runtime wants it: any patch in, one map per class of its size out.

patch (N, C, H, W) -> filled up to a size it takes -> graph -> two classes if it gave one map
-> upsampled to its input's size if it is coarser -> cut back to H, W
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from segtasks.networks.card import Gives, Graph
from segtasks.networks.graphs.session import GraphSession
from segtasks.networks.inference.runtime import repeatable


@dataclass
class GraphNet:
    """See `runtime.Net`."""

    engine: GraphSession
    graph: Graph
    batch: int

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.engine.device

    @property
    def gives(self) -> Gives:
        """What `__call__` gives."""
        return self.graph.gives

    def __call__(self, patches: Tensor) -> Tensor:
        """(N, C, H, W) -> logits or probabilities (N, K, H, W), float32."""
        height, width = patches.shape[2:]
        x = filled(patches, self._side(height), self._side(width), self.graph.fill)
        with torch.inference_mode(), repeatable(tf32=False):
            y = self.engine(x)
            return sized(two_classes(y.float(), self.gives), x)[:, :, :height, :width]

    def _side(self, length: int) -> int:
        """The next side that the graph takes."""
        multiple = self.graph.multiple_px
        least = max(length, self.graph.least_px)
        return self.graph.patch_px or -(-least // multiple) * multiple


def filled(x: Tensor, height: int, width: int, fill: tuple[float, ...]) -> Tensor:
    """More rows at the bottom and columns at the right, of what stands for no data.

    Args:
        x: (N, C, H, W).
        height: of the result.
        width: of the result.
        fill: one value per band; empty: 0.
    """
    if (height, width) == tuple(x.shape[2:]):
        return x
    value = torch.tensor(fill or (0.0,)).reshape(1, -1, 1, 1)
    out = value.expand(*x.shape[:2], height, width).clone()
    out[:, :, : x.shape[2], : x.shape[3]] = x
    return out


def two_classes(maps: Tensor, gives: Gives) -> Tensor:
    """One map (N, 1, H, W) of a sigmoid is its complement and itself; others stay as they are."""
    if maps.shape[1] != 1:
        return maps
    other = 1 - maps if gives == "probabilities" else torch.zeros_like(maps)
    return torch.cat((other, maps), dim=1)


def sized(maps: Tensor, x: Tensor) -> Tensor:
    """Coarser maps enlarged to the input's H and W, bilinear, half-pixel."""
    size = x.shape[2:]
    if maps.shape[2:] == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
