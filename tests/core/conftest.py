"""Settings of all the tests in this folder."""

from hypothesis import HealthCheck, settings

# No deadline for one example: a busy machine is no fault of the code.
settings.register_profile("unit", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
