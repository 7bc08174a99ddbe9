"""What a model needs on given hardware, and how fast it will be, with the error of each figure beside it.

from sansi.deploy.plan import Ask, make_plan
print(make_plan("Qwen3-235B-A22B", Ask(gpu="h20", count=4, dtype="fp8")))
"""

from sansi.deploy.plan.devices import DEVICES, Device, device_called
from sansi.deploy.plan.plan import Ask, Plan, make_plan
from sansi.deploy.plan.precision import PRECISIONS, Precision, precision_called

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "Ask",
    "Device",
    "Plan",
    "Precision",
    "device_called",
    "make_plan",
    "precision_called",
]
