"""The tuned precision and form of a job's network, kept in the workspace."""

from pydantic import BaseModel, ConfigDict

from segtasks.config.inference import Form, Inference, Precision

DEFAULT = "float32 packed"
LEAST_GAIN = 1.05
"""A candidate must be this much faster than the default to be chosen, since timings are noisy."""


def name_of(precision: Precision, form: Form) -> str:
    """Return the name of a precision and a form together."""
    return f"{precision} {form}"


class TunedInference(BaseModel):
    """Precision and form of all forward passes of a job.

    Attributes:
        samples: number of patches that were measured; 0 if nothing had to be measured.
        seconds: seconds for one sample patch, by `name_of` precision and form.
        differing: share of labels on the samples that differ from the default's, by the same names.
    """

    model_config = ConfigDict(frozen=True)

    precision: Precision = "float32"
    form: Form = "packed"
    samples: int = 0
    seconds: dict[str, float] = {}
    differing: dict[str, float] = {}

    @property
    def line(self) -> str:
        """One line for logs and reports."""
        name = name_of(self.precision, self.form)
        gain, share = self.seconds[DEFAULT] / self.seconds[name], 100 * self.differing[name]
        return (
            f"{name}: {gain:.2f} times the speed of {DEFAULT}, {share:.3f} % of "
            f"labels differ from it ({self.samples} samples)"
        )


def without_tuning(inference: Inference) -> TunedInference:
    """Return the precision and form of a job; "auto" becomes the default."""
    return TunedInference(
        precision="float32" if inference.precision == "auto" else inference.precision,
        form="packed" if inference.form == "auto" else inference.form,
    )
