"""The dense CRF for CPUs in C++; field.h describes the order in which to read the files."""
