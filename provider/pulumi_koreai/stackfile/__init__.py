"""What people write: a stack's file, its faults with their places, its JSON Schema. Knows no engine.

project      the Pulumi project, and which file is which stack's
entries      the map of models in a stack's file
yamlfile     a YAML file as the engine reads it, with the place of each key
check        all the faults of stack files
adopt        an entry for a model that is already deployed
schema       the JSON Schema of a stack's file
reference    the reference page
terms        Pulumi's commands and the configuration's keys
"""
