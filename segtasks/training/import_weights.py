"""Make a model file of weights that were trained elsewhere, instead of training."""

from segtasks.config.import_job import ImportJob
from segtasks.networks.card import Card
from segtasks.networks.importers.import_model import import_model
from segtasks.storage import local_copy


def import_weights(job: ImportJob) -> Card:
    """Convert weights from elsewhere (.pth, .safetensors, .npz, .caffemodel, .mat) to a model file.

    Args:
        job: the weights and all that their tensors do not say, e.g.
            ``ImportJob(weights="psp.pth", layout="semseg", network="pspnet50", legend=classes,
            to="psp.safetensors")`` with ``classes = [{"id": 0, "name": "ground", "color":
            "#808080"}, ...]``.

    Returns:
        The card of the model file as it was written to ``job.to``. Its bands are red, green, blue,
        also if the order in training was another one.

    Raises:
        ModelError: the names are unknown, the weights cannot be read or do not fit, or the legend
            or the bands are not as many as theirs.
        DestinationError: the folder to write to does not exist.
        StorageError: the weights cannot be fetched.
    """
    return import_model(job, local_copy.local_copy(job.weights))
