"""Preview, up and drift, as a pipeline runs them for a pull request and after its merge.

commands     `koreai preview|up|drift`
forge        the pull request's comment, the page of the run, the issue: GitHub and GitLab
"""
