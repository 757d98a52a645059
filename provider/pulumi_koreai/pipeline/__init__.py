"""Preview, up and drift, as a pipeline runs them for a pull request and after its merge; and the project that has it.

commands     preview, up and drift
stack        a stack, and what came of a command on it
engine       the engine as a process
forge        the pull request's comment, the page of the run, the issue: GitHub and GitLab
init         the files of a new project
requirements its requirements.txt
"""
