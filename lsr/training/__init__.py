"""Training: examples, teachers, mining, losses, and the trainer."""

import lsr.encoders  # noqa: F401  limits the kernels that torch keeps, which has to happen before torch is imported
