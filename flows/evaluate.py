"""The flow that evaluates: a mask against labels."""

from prefect import flow
from prefect.artifacts import create_table_artifact


@flow(name="evaluate", persist_result=False)
def evaluate(mask: str, labels: str, classes: list[str]) -> dict[str, float | None]:
    """Compare a mask with labels on the same pixel grid; 255 is ignored in both.

    Args:
        mask: Path or url of the mask.
        labels: Path or url of the labels.
        classes: Names of the classes, by class id.
    """
    from segtasks.training.evaluate import (  # noqa: PLC0415 - torch, for deploying not needed
        evaluate_rasters,
    )

    table = evaluate_rasters(mask, labels, classes=len(classes)).table(classes)
    rows = [{"figure": name, "value": value} for name, value in table.items()]
    create_table_artifact(rows, key="evaluation", description=mask)
    return table
