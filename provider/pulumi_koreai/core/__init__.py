"""The rules of a model's deployment, over the typed client. Knows no engine.

spec         what a user declares
faults       what is wrong with a declaration, as data and in words
rules        what brings a model from what is recorded to what is declared: a table
lifecycle    carries the rules out, and waits on dock jobs
polling      when a job is looked at again
state        what a state remembers of a model
impact       what lies ahead for a model and its callers, as facts
stopped      a call that ended early, as facts
service      what both front ends do with the platform, once for a process
export       what a model's export says of its deployment
renderer     the sentences, in each front end's own terms
"""
