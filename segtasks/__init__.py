"""Batch semantic segmentation of very large aerial images.

Each function takes one job, a model that checks its settings when it is made:

```python
import segtasks

job = segtasks.Job(source="ortho.tif", to="result", model="demo")
result = segtasks.segment(job)
print(result)
```

Making a job raises `pydantic.ValidationError` if a setting is wrong. The functions raise a
`segtasks.errors.SegtasksError`, whose text says in one line what is wrong and how to fix it. They
work the same in a script, with or without ``if __name__ == "__main__":``, and in a notebook. What a
function needs (torch, rasterio, Dask) is imported when the function is first used.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segtasks import crf, errors, networks
    from segtasks.config.batch_job import BatchJob
    from segtasks.config.evaluation_job import EvaluationJob
    from segtasks.config.import_job import ImportJob
    from segtasks.config.job import Job
    from segtasks.config.train_job import TrainJob
    from segtasks.config.tuning_job import TuneJob
    from segtasks.evaluation.crf_tuning.tune_crf import tune_crf
    from segtasks.evaluation.evaluate import evaluate
    from segtasks.pipeline.batch import segment_batch
    from segtasks.pipeline.dry_run import dry_run as plan
    from segtasks.pipeline.run import Result, segment
    from segtasks.training.import_weights import import_weights
    from segtasks.training.loop import train

    __version__: str

__all__ = [
    "BatchJob",
    "EvaluationJob",
    "ImportJob",
    "Job",
    "Result",
    "TrainJob",
    "TuneJob",
    "__version__",
    "crf",
    "errors",
    "evaluate",
    "import_weights",
    "networks",
    "plan",
    "segment",
    "segment_batch",
    "train",
    "tune_crf",
]

_HOMES = {
    "BatchJob": "segtasks.config.batch_job:BatchJob",
    "EvaluationJob": "segtasks.config.evaluation_job:EvaluationJob",
    "ImportJob": "segtasks.config.import_job:ImportJob",
    "Job": "segtasks.config.job:Job",
    "Result": "segtasks.pipeline.run:Result",
    "TrainJob": "segtasks.config.train_job:TrainJob",
    "TuneJob": "segtasks.config.tuning_job:TuneJob",
    "crf": "segtasks.crf",
    "errors": "segtasks.errors",
    "evaluate": "segtasks.evaluation.evaluate:evaluate",
    "import_weights": "segtasks.training.import_weights:import_weights",
    "networks": "segtasks.networks",
    "plan": "segtasks.pipeline.dry_run:dry_run",
    "segment": "segtasks.pipeline.run:segment",
    "segment_batch": "segtasks.pipeline.batch:segment_batch",
    "train": "segtasks.training.loop:train",
    "tune_crf": "segtasks.evaluation.crf_tuning.tune_crf:tune_crf",
}
"""Where each public name is defined: the imports above, for the interpreter."""

if not TYPE_CHECKING:  # with __getattr__ a type checker would accept any name

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
        """Import a public name when it is first used (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 - as slow as all the rest

            found = version("segtasks")
        elif name in _HOMES:
            found = resolve_name(_HOMES[name])
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__
