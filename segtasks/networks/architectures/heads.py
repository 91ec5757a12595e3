"""The fully convolutional head of PSPNet, of its auxiliary loss and of torchvision's networks."""

from torch import Tensor, nn

from segtasks.networks.architectures.layers import ConvBnRelu


class ConvHead(nn.Module):
    """3x3 with BatchNorm and ReLU, dropout, 1x1: (N, C, h, w) -> logits (N, K, h, w)."""

    def __init__(self, channels: int, inner: int, classes: int, dropout: nn.Module) -> None:
        super().__init__()
        self.conv = ConvBnRelu(channels, inner, 3, padding=1)
        self.dropout = dropout
        self.classifier = nn.Conv2d(inner, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> logits (N, K, h, w)."""
        y: Tensor = self.classifier(self.dropout(self.conv(x)))
        return y
