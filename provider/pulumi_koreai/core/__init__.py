"""The rules of a model's deployment, over the typed client. Knows no engine.

spec         what a user declares, and its faults
lifecycle    the rules and the waits
state        what a state remembers of a model
impact       what lies ahead for a model and its callers
"""
