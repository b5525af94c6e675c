"""Free spaces in car parks, now and ahead."""
