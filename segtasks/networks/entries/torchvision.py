"""The segmentation networks of torchvision."""

from collections.abc import Mapping

from segtasks.networks.entry import NetworkEntry

ENTRIES: Mapping[str, NetworkEntry] = {}
