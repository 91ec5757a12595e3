"""The file with the initial weights of training. Does not need torch."""

from pathlib import Path

from segtasks.errors import ModelError
from segtasks.networks import pretrained
from segtasks.networks.card import Card
from segtasks.networks.card_file import read_card
from segtasks.storage import local_copy


def init_path(init: str) -> Path:
    """Return the local file of ``init``, which is the name of a shipped model, a path or a url.

    Raises:
        ModelError: there is no such file.
    """
    path = local_copy.local_copy(pretrained.resolve(init))
    if not path.is_file():
        raise ModelError(f"{init}: no such file to start from; check `init`")
    return path


def init_card(init: str) -> Card | None:
    """Return the card of a model file; weights from other programs have none.

    Raises:
        ModelError: there is no such file.
    """
    path = init_path(init)
    if path.suffix != ".safetensors":
        return None
    try:
        return read_card(path)
    except ModelError:  # safetensors of another program; if it is damaged, its reader refuses it
        return None
