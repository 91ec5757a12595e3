"""How the network of a job is run, once that is measured; kept in the workspace."""

from pydantic import BaseModel, ConfigDict

from segtasks.config.inference import Form, Inference, Precision

DEFAULT = "float32 packed"
LEAST_GAIN = 1.05
"""Another way must be this much faster than the usual one to be taken: clocks are noisy."""


def name_of(precision: Precision, form: Form) -> str:
    """One word for both."""
    return f"{precision} {form}"


class TunedInference(BaseModel):
    """Precision and form of all forwards of a job.

    Attributes:
        samples: patches that were measured; 0 where nothing had to be.
        seconds: of one sample patch, by "precision form".
        differing: share of labels on the samples unlike those of the usual way, by the same.
    """

    model_config = ConfigDict(frozen=True)

    precision: Precision = "float32"
    form: Form = "packed"
    samples: int = 0
    seconds: dict[str, float] = {}
    differing: dict[str, float] = {}

    @property
    def line(self) -> str:
        """For people."""
        name = name_of(self.precision, self.form)
        gain, share = self.seconds[DEFAULT] / self.seconds[name], 100 * self.differing[name]
        return (
            f"{name}: {gain:.2f} times the speed of {DEFAULT}, {share:.3f} % of "
            f"labels differ from it ({self.samples} samples)"
        )


def as_asked(inference: Inference) -> TunedInference:
    """What needs no measuring; the usual way where the job leaves it open."""
    return TunedInference(
        precision="float32" if inference.precision == "auto" else inference.precision,
        form="packed" if inference.form == "auto" else inference.form,
    )
