"""A backend of matplotlib that draws in memory, and whose `show` hands the figures out."""

from matplotlib.backend_bases import FigureManagerBase as FigureManager
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas

from .plots import show

__all__ = ["FigureCanvas", "FigureManager", "show"]
