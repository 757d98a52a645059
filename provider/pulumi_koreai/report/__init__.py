"""What a pull request's reviewers read: what a preview or a run means to the models and their callers, in Markdown.

    engine_json.py the engine's JSON: a preview's digest, a run's stream of events
    custody.py     which resource has a model before a run and after it, by the engine's steps
    changes.py     what happens to each model, in the platform's terms; by the rules of the lifecycle
    warnings.py    what a reviewer must not overlook
    markdown.py    Markdown that stays what it was meant to be, whatever a name or a value holds
    preview.py     the report on a preview
    run.py         the report on a run that has ended
    gantt.py       a picture of that run
    fail_on.py     what a pipeline refuses
    terminal.py    a report on a terminal
    as_json.py     a report as data

`docs/report.md` is for its users.
"""
