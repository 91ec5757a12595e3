"""The dense CRF of Kraehenbuehl and Koltun, right on tiles."""
