"""The dense CRF for CPUs, in C++: see field.h for the way through the files."""
