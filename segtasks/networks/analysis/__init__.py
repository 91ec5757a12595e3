"""Measure networks: receptive field, halos, multiply-adds, parameters, memory."""
