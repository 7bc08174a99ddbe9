"""From a model folder to what another program opens: weights in its format, files beside them, a launch line."""

from sansi.deploy.export.calibration import OWN, Calibration, read_calibration
from sansi.deploy.export.targets import TARGETS, Target, kind_of, target_of
from sansi.deploy.export.weights import Exported, Order, check_out, default_out, export

__all__ = [
    "OWN",
    "TARGETS",
    "Calibration",
    "Exported",
    "Order",
    "Target",
    "check_out",
    "default_out",
    "export",
    "kind_of",
    "read_calibration",
    "target_of",
]
