"""A linear classifier of the bands of each pixel: multinomial logistic regression without context.

It is the baseline that networks are compared with and, with suitable weights, the identity network
of the tests.
"""

from torch import Tensor, nn


class Linear(nn.Module):
    """One 1x1 convolution, bands -> classes; it has lattice 1 and halo 0."""

    def __init__(self, *, classes: int, bands: int = 3, width: float = 1.0) -> None:  # noqa: ARG002 one signature for all networks
        super().__init__()
        self.score = nn.Conv2d(bands, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        y: Tensor = self.score(x)
        return y
