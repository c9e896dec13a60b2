"""What `anonbench new-method` writes: the package of a method that works, to be changed."""

from anonbench.scaffold.method_package import MethodPackage, write_method

__all__ = ["MethodPackage", "write_method"]
