"""The checks by subject; importing them enters them into `CHECKS`, in the order in which they are asked."""

from sansi.deploy.conform.checks import basics, limits, mistakes, thinking, tools
from sansi.deploy.conform.registry import CHECKS

__all__ = ["CHECKS", "basics", "limits", "mistakes", "thinking", "tools"]
