"""What every room may use: the clock, durations, where progress goes. Imports nothing of this package."""
