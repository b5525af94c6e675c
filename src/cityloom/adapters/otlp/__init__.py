"""Traces by OpenTelemetry's protocol. Needs the extra `traces`, and is imported where it is wanted alone."""
