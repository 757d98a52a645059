"""The rules of a model's deployment, over the typed client. Knows no engine.

spec         what a user declares, and the rules between its fields
faults       what is wrong with a declaration, as data, and the words for it
lifecycle    the rules and the waits
state        what a state remembers of a model
impact       what lies ahead for a model and its callers
renderer     a front end's own commands and names, and the sentences that have them
"""
