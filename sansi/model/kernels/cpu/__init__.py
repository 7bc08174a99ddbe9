"""The forward pass in C++ for x86 CPUs, compiled on first use."""
