"""A small scene, segmented by the shipped model with its workspace kept."""

import pytest

from segtasks.training.synthetic import write_scene
from tests.helpers.kept import HEIGHT, WIDTH, Kept


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The scene, with the default CRF."""
    folder = tmp_path_factory.mktemp("tuning")
    labels = write_scene(folder / "scene.tif", 53, HEIGHT, WIDTH)
    made = Kept(folder / "scene.tif", labels, folder / "out/.workspace")
    made.run(folder / "out", keep_workspace=True)
    return made
