"""What other runtimes need beside the weights: launch lines for stated versions, Modelfiles, model.yaml."""

from sansi.deploy.packages.facts import ModelFacts, facts_of
from sansi.deploy.packages.launch import RUNTIMES, Launch, launch_for

__all__ = ["RUNTIMES", "Launch", "ModelFacts", "facts_of", "launch_for"]
