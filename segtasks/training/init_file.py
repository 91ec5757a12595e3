"""The file that training begins from. Needs no torch."""

from pathlib import Path

from segtasks.errors import ModelError
from segtasks.networks import pretrained
from segtasks.networks.card import Card
from segtasks.networks.card_file import read_card
from segtasks.storage import local_copy


def init_path(init: str) -> Path:
    """The local file of ``init``: a model by name, a path or a url.

    Raises:
        ModelError: there is no such file.
    """
    path = local_copy.local_copy(pretrained.resolve(init))
    if not path.is_file():
        raise ModelError(f"{init}: no such file to begin from; check `init`")
    return path


def init_card(init: str) -> Card | None:
    """The card of a model file; weights from elsewhere have none.

    Raises:
        ModelError: there is no such file.
    """
    path = init_path(init)
    if path.suffix != ".safetensors":
        return None
    try:
        return read_card(path)
    except ModelError:  # safetensors of somebody else; if it is damaged, its reader says so
        return None
