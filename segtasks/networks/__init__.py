"""Segmentation networks: registry, model files, foreign graphs, importers and inference.

Importing this package does not import torch, so that the driver process can list networks and read
model cards without it. ``build`` imports torch (1.8 s, 300 MB) when it is called.
"""

from segtasks.config.legend import ClassEntry
from segtasks.networks.card import Card, Normalisation
from segtasks.networks.card_file import card_of_model, read_card
from segtasks.networks.importers import convert, convert_backbone, layouts, variant_of
from segtasks.networks.network_spec import NetworkSpec
from segtasks.networks.registry import build, names, spec

__all__ = [
    "Card",
    "ClassEntry",
    "NetworkSpec",
    "Normalisation",
    "build",
    "card_of_model",
    "convert",
    "convert_backbone",
    "layouts",
    "names",
    "read_card",
    "spec",
    "variant_of",
]
