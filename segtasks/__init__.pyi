# The public API. `segtasks/__init__.py` imports each name from where this file says when it is
# first used; type checkers and the API reference read this file.

from . import crf as crf
from . import errors as errors
from . import networks as networks
from .config.batch_job import BatchJob as BatchJob
from .config.evaluation_job import EvaluationJob as EvaluationJob
from .config.import_job import ImportJob as ImportJob
from .config.job import Job as Job
from .config.train_job import TrainJob as TrainJob
from .config.tuning_job import TuneJob as TuneJob
from .evaluation.crf_tuning.tune_crf import tune_crf as tune_crf
from .evaluation.evaluate import evaluate as evaluate
from .pipeline.batch import segment_batch as segment_batch
from .pipeline.dry_run import plan as plan
from .pipeline.run import Result as Result
from .pipeline.run import segment as segment
from .training.import_weights import import_weights as import_weights
from .training.loop import train as train

__all__: list[str]  # noqa: PYI035 - lazy_loader makes it from this file
__version__: str
