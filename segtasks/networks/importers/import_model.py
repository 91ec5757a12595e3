"""Import foreign weights as a model file with a card."""

from pathlib import Path, PurePath

from segtasks.config.import_job import ImportJob
from segtasks.errors import DestinationError, ModelError
from segtasks.networks.card import Card, Normalisation
from segtasks.networks.importers.converter import convert
from segtasks.networks.importers.layouts import normalisation_of, variant_of
from segtasks.networks.importers.read_weights import read_weights
from segtasks.networks.model_file import make_card, save
from segtasks.networks.weights import skeleton
from segtasks.raster.band_names import RGB


def import_model(job: ImportJob, path: Path) -> Card:
    """Write ``job.to`` from the weights in the local file ``path``; return its card as written.

    Raises:
        ModelError: a name is unknown, the weights cannot be read or do not fit, or the number of
            classes or bands differs from that of the weights.
        DestinationError: the folder of ``job.to`` does not exist.
    """
    variant = variant_of(layout=job.layout, network=job.network) | job.variant
    if not Path(job.to).parent.is_dir():
        raise DestinationError(f"{job.to}: its folder does not exist; create it first")
    found = convert(read_weights(path), job.layout, job.network, job.width, job.variant)
    _check_classes(job, found.classes)
    bands = _bands(job, found.bands)
    module = skeleton(
        job.network, classes=found.classes, bands=len(bands), width=job.width, variant=variant
    )
    module.load_state_dict(found.weights, strict=True, assign=True)
    card = make_card(
        module.eval(),
        network=job.network,
        width=job.width,
        variant=variant,
        classes=job.legend,
        bands=bands,
        normalisation=_normalisation(job, len(bands)),
        licence=job.licence,
        ground_resolution_m=job.ground_resolution_m,
        # The name of the file without its folder, since a model file is shared.
        provenance={
            "weights": PurePath(job.weights).name,
            "layout": job.layout,
            **({"note": job.note} if job.note else {}),
        },
    )
    return save(job.to, module, card, dtype=job.weights_dtype)


def _check_classes(job: ImportJob, classes: int) -> None:
    if classes != len(job.legend):
        raise ModelError(
            f"{job.weights}: its head has {classes} classes, the legend has {len(job.legend)}; "
            f"list the classes 0 … {classes - 1}"
        )


def _bands(job: ImportJob, count: int) -> tuple[str, ...]:
    """Return the names of the bands; the default of three bands is red, green, blue."""
    names = job.bands or (RGB if count == len(RGB) else ())
    if len(names) != count:
        given = ", ".join(names) or "none"
        raise ModelError(
            f"{job.weights}: takes {count} bands, but {len(names)} are named ({given}); "
            "give --bands"
        )
    return names


def _normalisation(job: ImportJob, count: int) -> Normalisation:
    """Return the normalisation of the job; its default is that of the layout."""
    usual = normalisation_of(layout=job.layout, network=job.network)
    mean, std = job.mean or usual.mean, job.std or usual.std
    if (len(mean), len(std)) != (count, count):
        raise ModelError(
            f"{job.weights}: takes {count} bands, mean is {mean}, std is {std}; give --mean and "
            f"--std of {count}"
        )
    return Normalisation(mean=mean, std=std, dtype=job.input_dtype)
