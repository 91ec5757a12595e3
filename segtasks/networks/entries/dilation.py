"""Dilated front-end and context modules."""

from collections.abc import Mapping

from segtasks.networks.entry import NetworkEntry

ENTRIES: Mapping[str, NetworkEntry] = {}
