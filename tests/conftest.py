"""Settings shared by all tests."""

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.helpers.models",
    "tests.helpers.prefect_server",
    "tests.helpers.swift_server",
]

# The machines this runs on are shared: a deadline per example would test their neighbours.
settings.register_profile("segtasks", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("segtasks")
