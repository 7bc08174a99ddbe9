"""Hand-written kernels for what torch's operators do slowly: one folder per kind of device."""
