"""Where a pipeline's words go: a pull request's one comment, an issue, the run's own page; on GitHub and on GitLab.

Which of the two, and which pull request, the runner's own environment says. A comment and an issue are found again by a
mark in them that readers do not see, so that a second run changes what the first one wrote.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import requests

TOKENS: Final = ("GITHUB_TOKEN", "GITLAB_TOKEN")
"""What lets one write on a forge."""

_PAGE: Final = 100
_TIMEOUT_SECONDS: Final = 30.0
# GitHub's limit is 65,536; GitLab's is a million.
_MAX_CHARACTERS: Final = 65_000
_LABEL: Final = "koreai-drift"
_COMMENT_MARK: Final = "<!-- koreai-models: preview -->"


class ForgeError(Exception):
    """The forge did not do what it was asked; the message says what it answered and what is probably missing."""


class Forge:
    """No forge: a pipeline's step that is run by hand says on the terminal all that it has to say.

    Attributes:
        unattended: this is a pipeline's run, which takes a branch's code before anybody has reviewed it.
    """

    unattended: ClassVar[bool] = False

    def page(self, markdown: str) -> None:
        """Show it on the page of this run."""

    def output(self, name: str, value: str) -> None:
        """Hand a value to the jobs that come after this one."""

    def comment(self, markdown: str, *, anew: bool = True) -> None:
        """Make it the one comment on the pull request that this run is for; nothing where it is for none.

        Args:
            markdown: the text; the commit that it is about is put before it.
            anew: where there is no comment yet, write one.
        """

    def open_issue(self, stack: str, title: str, markdown: str) -> None:
        """Make it the text of the stack's one open issue."""

    def close_issue(self, stack: str, why: str) -> None:
        """Close the stack's issue, if there is one."""

    def newer(self) -> str | None:
        """The commit that the branch of this run has come to since; None where it is still this run's."""
        return None


def forge(env: Mapping[str, str] = os.environ) -> Forge:
    """The forge that this process runs on."""
    if env.get("GITHUB_ACTIONS"):
        return GitHub(env)
    return GitLab(env) if env.get("GITLAB_CI") else Forge()


class GitHub(Forge):
    """GitHub Actions. Its token is the job's own, `github.token`."""

    unattended = True

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._repository = f"repos/{env['GITHUB_REPOSITORY']}"
        self._run = f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_REPOSITORY']}/actions/runs/{env['GITHUB_RUN_ID']}"
        self._api = _Api(
            env["GITHUB_API_URL"],
            {"Authorization": f"Bearer {env.get('GITHUB_TOKEN', '')}", "Accept": "application/vnd.github+json"},
            "Has the step GITHUB_TOKEN, and the job the permission?",
        )

    def page(self, markdown: str) -> None:
        self._append("GITHUB_STEP_SUMMARY", markdown)

    def output(self, name: str, value: str) -> None:
        self._append("GITHUB_OUTPUT", f"{name}={value}")

    def comment(self, markdown: str, *, anew: bool = True) -> None:
        _, kind, number = self._env["GITHUB_REF"].split("/", 2)
        if kind != "pull":
            return
        comments = f"{self._repository}/issues/{number.partition('/')[0]}/comments"
        # GITHUB_SHA is a merge that GitHub made for the run, and nobody else knows.
        event = json.loads(Path(self._env["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        about = _about(event["pull_request"]["head"]["sha"], markdown)
        body = {"body": _marked(_COMMENT_MARK, about, self._run)}
        for comment in self._api.each(comments):
            # A person's comment may quote the mark; that of an account which is gone has no user.
            by_a_bot = (comment["user"] or {}).get("type") == "Bot"
            if by_a_bot and _COMMENT_MARK in (comment["body"] or ""):
                self._api.ask("PATCH", f"{self._repository}/issues/comments/{comment['id']}", body)
                return
        if anew:
            self._api.ask("POST", comments, body)

    def open_issue(self, stack: str, title: str, markdown: str) -> None:
        body = {"title": title, "body": _marked(_issue_mark(stack), markdown, self._run)}
        if issue := self._issue(stack):
            self._api.ask("PATCH", issue, body)
        else:
            self._api.ask("POST", f"{self._repository}/issues", {**body, "labels": [_LABEL]})

    def close_issue(self, stack: str, why: str) -> None:
        if issue := self._issue(stack):
            self._api.ask("POST", f"{issue}/comments", {"body": f"{why}\n\n{self._run}"})
            self._api.ask("PATCH", issue, {"state": "closed"})

    def newer(self) -> str | None:
        branch = self._env["GITHUB_REF"].removeprefix("refs/")
        tip: str = self._api.ask("GET", f"{self._repository}/commits/{branch}")["sha"]
        return None if tip == self._env["GITHUB_SHA"] else tip

    def _issue(self, stack: str) -> str | None:
        for issue in self._api.each(f"{self._repository}/issues", state="open", labels=_LABEL):
            if _issue_mark(stack) in (issue["body"] or "") and "pull_request" not in issue:
                return f"{self._repository}/issues/{issue['number']}"
        return None

    def _append(self, variable: str, text: str) -> None:
        with Path(self._env[variable]).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


class GitLab(Forge):
    """GitLab CI. A job's own token can write neither notes nor issues: it takes an access token of the project.

    GitLab keeps an outdated deployment job from running by itself, and a job's log is its page.
    """

    unattended = True

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._project = f"projects/{env['CI_PROJECT_ID']}"
        self._api = _Api(
            env["CI_API_V4_URL"],
            {"PRIVATE-TOKEN": env.get("GITLAB_TOKEN", "")},
            "Is GITLAB_TOKEN an access token of this project, of a Reporter, with the scope `api`?",
        )

    def comment(self, markdown: str, *, anew: bool = True) -> None:
        if "CI_MERGE_REQUEST_IID" not in self._env:
            return
        notes = f"{self._project}/merge_requests/{self._env['CI_MERGE_REQUEST_IID']}/notes"
        # The first is there in a pipeline of the merge's result only, whose own commit is GitLab's.
        head = self._env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or self._env["CI_COMMIT_SHA"]
        body = {"body": _marked(_COMMENT_MARK, _about(head, markdown), self._env["CI_JOB_URL"])}
        me = self._api.ask("GET", "user")["id"]
        for note in self._api.each(notes):
            if note["author"]["id"] == me and _COMMENT_MARK in note["body"]:
                self._api.ask("PUT", f"{notes}/{note['id']}", body)
                return
        if anew:
            self._api.ask("POST", notes, body)

    def open_issue(self, stack: str, title: str, markdown: str) -> None:
        body = {"title": title, "description": _marked(_issue_mark(stack), markdown, self._env["CI_JOB_URL"])}
        if issue := self._issue(stack):
            self._api.ask("PUT", issue, body)
        else:
            self._api.ask("POST", f"{self._project}/issues", {**body, "labels": _LABEL})

    def close_issue(self, stack: str, why: str) -> None:
        if issue := self._issue(stack):
            self._api.ask("POST", f"{issue}/notes", {"body": f"{why}\n\n{self._env['CI_JOB_URL']}"})
            self._api.ask("PUT", issue, {"state_event": "close"})

    def _issue(self, stack: str) -> str | None:
        for issue in self._api.each(f"{self._project}/issues", state="opened", labels=_LABEL):
            if _issue_mark(stack) in (issue["description"] or ""):
                return f"{self._project}/issues/{issue['iid']}"
        return None


@dataclass(frozen=True)
class _Api:
    """The forge's HTTP API.

    Attributes:
        base: of every address.
        headers: with the token.
        hint: what is probably missing when it refuses.
    """

    base: str
    headers: Mapping[str, str]
    hint: str

    def ask(
        self,
        method: Literal["GET", "POST", "PATCH", "PUT"],
        path: str,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Any:
        """What it answers.

        Raises:
            ForgeError: no answer, or a refusal.
        """
        url = f"{self.base}/{path}"
        try:
            answer = requests.request(
                method,
                url,
                params=dict(query or {}),
                json=body,
                headers=dict(self.headers),
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise ForgeError(f"{method} {url}: no answer: {error}") from None
        if not answer.ok or answer.is_redirect:
            raise ForgeError(f"{method} {url}: answered {answer.status_code} {answer.text[:300]!r}. {self.hint}")
        try:
            return answer.json()
        except requests.JSONDecodeError:
            said = f"answered {answer.status_code} without JSON: {answer.text[:300]!r}"
            raise ForgeError(f"{method} {url}: {said}. Is there a proxy in between?") from None

    def each(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Each of a list, page by page."""
        page = 1
        while found := self.ask("GET", path, None, {**query, "per_page": _PAGE, "page": page}):
            yield from found
            page += 1


def _issue_mark(stack: str) -> str:
    return f"<!-- koreai-models: drift of {stack} -->"


def _about(commit: str, markdown: str) -> str:
    return f"For commit {commit}:\n\n{markdown}"


def _marked(mark: str, markdown: str, run: str) -> str:
    if len(markdown) > _MAX_CHARACTERS:
        markdown = markdown[: markdown.rindex("\n", 0, _MAX_CHARACTERS)]
        fence = "\n```" if markdown.count("\n```") % 2 else ""
        folds = "\n</details>" * (markdown.count("<details>") - markdown.count("</details>"))
        markdown += f"{fence}{folds}\n\nThe rest is in the run's log."
    return f"{mark}\n{markdown}\n\n[The run]({run})"
