"""What people write: a stack's file, its faults with their places, its JSON Schema. Knows no engine.

entries      the map of models in a stack's file
yamlfile     a YAML file as the engine reads it, with the place of each key
check        `koreai check`: all the faults of stack files
adopt        `koreai adopt`: an entry for a model that is already deployed
schema       `koreai schema`: the JSON Schema of a stack's file
reference    `koreai schema --markdown`: the reference page
terms        Pulumi's commands and the configuration's keys
"""
