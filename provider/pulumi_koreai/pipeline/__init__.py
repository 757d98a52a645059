"""What needs the engine: preview, up and drift, as a pipeline runs them, and how a project and its models are.

commands        preview, up and drift
stack           a stack, and what came of a command on it
astray          what was sent for a stack and is not in its state
engine          the engine as a process
forge           the pull request's comment, the page of the run, the issue: GitHub and GitLab
doctor          what a deployment needs, looked at one by one
diagnosis       what the doctor finds, as facts and in words
status          what is recorded of each model, and how the jobs under way are
status_table    that as Markdown and as JSON
adoption        entries for models that already run
project_engine  the engine, asked what it knows
stack_settings  a stack's settings without its program
init            the files of a new project
requirements    its requirements.txt
"""
