"""What counts as the platform's word that something is not there: its own whole sentences about it, nothing else."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from pulumi_koreai.api.errors import AbsenceInDoubt, ForeignAnswer, NotDeployed, NotFound, Refused
from pulumi_koreai.api.evidence import Evidence, of_no_job, of_no_model, of_not_deployed
from pulumi_koreai.api.messages import message_in
from pulumi_koreai.api.refusals import RefusedAnswer

MODEL, JOB = "cm-1", "ds-1"
PATH = f"/api/public/models/{MODEL}/undeploy"

Judge = Callable[[JsonValue], Evidence]
JUDGES: dict[str, Judge] = {
    "no model": lambda body: of_no_model(body, MODEL),
    "no job": lambda body: of_no_job(body, JOB),
    "not deployed": lambda body: of_not_deployed(body, MODEL),
}
FORMS: dict[str, Callable[[str], JsonValue]] = {
    "errors": lambda text: {"errors": [{"msg": text}]},
    "errors, code": lambda text: {"errors": [{"msg": text, "code": 4002}]},
    "errors, name": lambda text: {"errors": [{"msg": text, "code": "MODEL_NOT_FOUND"}], "status": 404},
    "message": lambda text: {"message": text},
    "message, code": lambda text: {"message": text, "statusCode": 404},
}


def meaning(status: int, body: JsonValue, action: str = "UNDEPLOY", job_id: str = "") -> type[Refused]:
    refused = RefusedAnswer(status, body, "", action, MODEL, job_id, "a scope", "https://h")  # type: ignore[arg-type]
    return refused.meaning()[0]


# What the platform says itself

TRUE: dict[str, list[str]] = {
    "no model": [
        "Model not found",
        f"Model {MODEL} not found",
        f"The model '{MODEL}' does not exist.",
        f"Model with id {MODEL} was not found",
        f'No model found with id "{MODEL}"',
        "No such model",
        f"There is no model {MODEL}.",
        f"Unknown model id: {MODEL}",
        f"Error: model not found: {MODEL}",
        "The specified model doesn't exist",
        f"The requested model ({MODEL}) could not be found",
    ],
    "no job": [
        f"No dock status {JOB}",
        "no such dock status",
        "No such job",
        "Dock status not found",
        f"dockStatusId {JOB} not found",
        f"Job {JOB} does not exist",
        f"The job with id `{JOB}` was not found",
    ],
    "not deployed": [
        "Model is not deployed",
        f"Model {MODEL} is not deployed.",
        "The model is NOT DEPLOYED.",
        "The model is not currently deployed",
        "The model isn't deployed",
        "already undeployed",
        "Model has already been undeployed",
        f"No active deployment found for model {MODEL}",
        "There is no running deployment for this model",
        f"Model {MODEL} has no active deployment",
        "Cannot undeploy: the model is not deployed",
        "Model is not deployed. Nothing to undeploy.",
    ],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("what, text", [(what, text) for what, texts in TRUE.items() for text in texts])
def test_a_whole_sentence_in_the_platform_s_form_is_certain(
    what: str, text: str, form: Callable[[str], JsonValue]
) -> None:
    assert JUDGES[what](form(text)) is Evidence.CERTAIN


@pytest.mark.parametrize("what", JUDGES)
def test_each_speaks_of_itself_alone(what: str) -> None:
    for other, texts in TRUE.items():
        for text in texts:
            assert (JUDGES[what]({"message": text}) is Evidence.CERTAIN) == (what == other), text


# Who else answers

STRANGERS: dict[str, JsonValue] = {
    "Kong": {"message": "no Route matched with those values"},
    "Kong, a request id": {"message": "no Route matched with those values", "request_id": "0b1c"},
    "ingress-nginx": "default backend - 404",
    "nginx": "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><h1>404 Not Found</h1></body></html>",
    "Apache": f"<!DOCTYPE HTML><title>404 Not Found</title><p>The requested URL {PATH} was not found.</p>",
    "Traefik": "404 page not found\n",
    "Go": "404 page not found",
    "Envoy": "",
    "nothing": None,
    "Spring": {"timestamp": "2026-11-27T04:08:28Z", "status": 404, "error": "Not Found", "path": PATH},
    "Spring, a message": {
        "timestamp": "2026-11-27T04:08:28Z",
        "status": 404,
        "error": "Not Found",
        "message": f"Model {MODEL} not found",
        "path": PATH,
    },
    "Spring 6": {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "No static resource",
        "instance": PATH,
    },
    "FastAPI": {"detail": "Not Found"},
    "FastAPI, of models": {"detail": f"Model {MODEL} not found"},
    "Express": f"<pre>Cannot POST {PATH}</pre>",
    "Express, as text": f"Cannot POST {PATH}",
    "NestJS": {"statusCode": 404, "message": f"Cannot POST {PATH}", "error": "Not Found"},
    "a router in the platform's form": {"errors": [{"msg": f"Cannot POST {PATH}", "code": "NOT_FOUND"}]},
    "Fastify": {"message": f"Route POST:{PATH} not found", "error": "Not Found", "statusCode": 404},
    "Fastify, less": {"message": f"Route POST:{PATH} not found", "statusCode": 404},
    "Rails": {"status": 404, "error": "Not Found"},
    "Rails, a page": "<!DOCTYPE html><title>The page you were looking for doesn't exist (404)</title>",
    "Laravel": {"message": f"The route api/public/models/{MODEL}/undeploy could not be found."},
    "Django": "<h1>Not Found</h1><p>The requested resource was not found on this server.</p>",
    "Django REST": {"detail": "Not found."},
    "Flask": {
        "message": "The requested URL was not found on the server. If you entered the URL manually please check it."
    },
    "ASP.NET": {"type": "https://tools.ietf.org/html/rfc9110#section-15.5.5", "title": "Not Found", "status": 404},
    "AWS API Gateway": {"message": "Missing Authentication Token"},
    "AWS API Gateway, v2": {"message": "Not Found"},
    "AWS API Gateway, denied": {"message": "Forbidden"},
    "AWS, signed": {"Message": "User is not authorized to access this resource with an explicit deny"},
    "Azure API Management": {"statusCode": 404, "message": "Resource not found"},
    "Azure API Management, the key": {
        "statusCode": 401,
        "message": "Access denied due to missing subscription key. Make sure to include it when making requests.",
    },
    "Azure OpenAI": {
        "error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}
    },
    "Google": {"error": {"code": 404, "message": "Method not found.", "status": "NOT_FOUND"}},
    "Apigee": {
        "fault": {"faultstring": "Unable to identify proxy for host", "detail": {"errorcode": "CLASSIFICATION"}}
    },
    "Cloudflare": "error code: 1016",
    "HAProxy": "<html><body><h1>404 Not Found</h1>\nThe resource could not be found.\n</body></html>",
    "Tyk": {"error": "Requested endpoint is forbidden"},
    "APISIX": {"error_msg": "404 Route Not Found"},
    "Istio": "no healthy upstream",
    "Kubernetes": {
        "kind": "Status",
        "status": "Failure",
        "message": f'models.serving "{MODEL}" not found',
        "reason": "NotFound",
        "code": 404,
    },
    "OpenAI's form": {"error": {"message": f"The model `{MODEL}` does not exist", "type": "invalid_request_error"}},
    "vLLM": {
        "object": "error",
        "message": f"The model `{MODEL}` does not exist.",
        "type": "NotFoundError",
        "code": 404,
    },
    "Ollama": {"error": f"model '{MODEL}' not found"},
    "MLflow": {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Model {MODEL} not found"},
    "GraphQL": {"errors": [{"message": f"Model {MODEL} not found", "path": ["model"]}]},
    "JSON:API": {"errors": [{"status": "404", "title": "Not Found", "detail": f"Model {MODEL} not found"}]},
    "plain text": "Model is not deployed",
    "JSON text": f"Model {MODEL} not found",
    "a list": ["Model is not deployed"],
    "no errors": {"errors": []},
    "errors that are none": {"errors": ["Model is not deployed"]},
    "one that is none": {"errors": [{"msg": "Model is not deployed"}, None]},
    "a message that is none": {"message": {"text": "Model is not deployed"}},
}


@pytest.mark.parametrize("body", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_knows_nothing_of_models_and_jobs(body: JsonValue) -> None:
    assert {judge(body) for judge in JUDGES.values()} == {Evidence.FOREIGN}
    assert meaning(404, body) is ForeignAnswer
    assert meaning(404, body, job_id=JOB) is ForeignAnswer
    assert meaning(400, body) is Refused


# The same words in another sense

OTHERWISE = [
    "No deployment permission for this key",
    "2 of 3 replicas are not deployed on healthy nodes, 1 still serving",
    "No deployment access for model cm-1",
    "No deployment quota is left for this model",
    "The key's role is not deployed to this model",
    "Model is not deployed by this key",
    "Model cm-1 is not yet deployed",
    "Not deployed yet: the model is still deploying",
    "Model is not deployed on node 3 yet",
    "The model could not be undeployed",
    "Policy: no deployment may be undeployed later than 18:00",
    "Model cm-2 is not deployed",
    "Model cm-12 is not deployed",
    "Model cm-1.2 is not deployed",
    "Model x-cm-1 is not deployed",
    "cm-1.model is not deployed",
    "model.cm-1 is not deployed",
    "Model CM-1 is not deployed",
    "Model cm-2 not found",
    "Model cm-1 not found or you have no access to it",
    "Model cm-1 not found in this workspace's scope",
    "Model cm-1's runtime was not found",
    "The owner of model cm-1 does not exist",
    "If the model is not deployed, deploy it first",
    "It is not true that the model is not deployed",
    "Is the model not deployed?",
    "The model will be already undeployed",
    "Model cm-1 not found; try again later",
    "Model not found, check your permissions",
    "Model is deployed",
    "Undeploy failed",
    "Deployment failed",
    "The model is not deploying",
    "No deployment",
    "Not deployed",
    "Job ds-2 not found",
    "Job ds-1 not found: the key lacks a scope",
    "No such jobs are allowed",
    "",
    "x" * 5000,
    "Model is not deployed. " * 50,
]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("text", OTHERWISE)
def test_the_same_words_in_another_sense_are_not_certain(text: str, form: Callable[[str], JsonValue]) -> None:
    for judge in JUDGES.values():
        assert judge(form(text)) is not Evidence.CERTAIN


@pytest.mark.parametrize("text", [*OTHERWISE[:8], "The model could not be undeployed", "Undeploy failed"])
def test_a_refusal_that_means_something_else_is_a_plain_one(text: str) -> None:
    for status in (400, 409, 422):
        assert not issubclass(meaning(status, {"errors": [{"msg": text}]}), (NotDeployed, AbsenceInDoubt))


@pytest.mark.parametrize("text", ["Model cm-1 not found or you have no access to it", "Model cm-2 not found"])
def test_what_speaks_of_a_model_is_in_doubt_where_it_is_not_certain(text: str) -> None:
    assert meaning(404, {"message": text}) is AbsenceInDoubt


@pytest.mark.parametrize(
    "text",
    [
        "No active deployments",
        "Not deployed",
        "Nothing to undeploy",
        "The model was undeployed at 10:00",
        "Model is in the state Ready to Deploy",
        "Invalid model state for UNDEPLOY",
        "Model cm-2 is not deployed",
    ],
)
def test_what_seems_to_say_that_a_model_is_not_deployed_is_in_doubt(text: str) -> None:
    for status in (400, 404, 409, 422):
        assert meaning(status, {"message": text}) is AbsenceInDoubt


@pytest.mark.parametrize(
    "code", ["FORBIDDEN", "PERMISSION_DENIED", "QuotaExceeded", 403, "401", 429, 503, "x" * 99, True]
)
def test_a_code_that_stands_for_something_else_leaves_a_doubt(code: JsonValue) -> None:
    assert JUDGES["not deployed"]({"errors": [{"msg": "Model is not deployed", "code": code}]}) is Evidence.DOUBTFUL
    assert JUDGES["no model"]({"message": "Model not found", "code": code}) is Evidence.DOUBTFUL


@pytest.mark.parametrize("code", ["ModelNotDeployed", "E_MODEL_NOT_FOUND", "ERR-NOT-FOUND", 40401, 404, "4002", None])
def test_a_code_that_stands_for_the_same_does_not(code: JsonValue) -> None:
    assert JUDGES["not deployed"]({"errors": [{"msg": "Model is not deployed", "code": code}]}) is Evidence.CERTAIN


def test_each_of_several_errors_counts() -> None:
    one: JsonValue = {"msg": "Model is not deployed"}
    assert JUDGES["not deployed"]({"errors": [one, one]}) is Evidence.CERTAIN
    assert JUDGES["not deployed"]({"errors": [one, {"msg": "The key lacks a scope"}]}) is not Evidence.CERTAIN


@pytest.mark.parametrize(
    "status, text, job_id, kind",
    [
        (404, "Model cm-1 not found", "", NotFound),
        (404, "No dock status ds-1", JOB, NotFound),
        (404, "Model cm-1 not found", JOB, ForeignAnswer),
        (400, "Model cm-1 not found", "", Refused),
        (404, "Model is not deployed", "", NotDeployed),
        (400, "Model is not deployed", "", NotDeployed),
        (400, "Model is not deployed", JOB, Refused),
    ],
)
def test_what_is_certain_has_its_class(status: int, text: str, job_id: str, kind: type[Refused]) -> None:
    assert meaning(status, {"errors": [{"msg": text}]}, job_id=job_id) is kind


# By chance

subjects = st.sampled_from(
    ["model", "the model", "this model", f"model {MODEL}", f"the model '{MODEL}'", f"model with id {MODEL}", MODEL]
)
absences = st.sampled_from(["not found", "was not found", "could not be found", "does not exist", "doesn't exist"])
lacks = st.sampled_from(
    [
        "is not deployed",
        "isn't deployed",
        "is not currently deployed",
        "is already undeployed",
        "has no active deployment",
    ]
)
ends = st.sampled_from(["", ".", "!", ". ", " ."])
forms = st.sampled_from(list(FORMS.values()))


@given(subjects, absences, lacks, ends, forms, st.booleans())
def test_every_sentence_of_the_grammar_is_certain(
    subject: str, absence: str, lack: str, end: str, form: Callable[[str], JsonValue], capital: bool
) -> None:
    subject = subject[0].upper() + subject[1:] if capital and subject != MODEL else subject
    assert JUDGES["no model"](form(f"{subject} {absence}{end}")) is Evidence.CERTAIN
    assert JUDGES["not deployed"](form(f"{subject} {lack}{end}")) is Evidence.CERTAIN


OWN_WORDS = str.split(
    "the this model id with for of is was has been not no such already currently deployed undeployed deployment active"
    " found exist does exists there could be dock status job error nothing to undeploy can as because it unknown any"
)
# Each turns what it stands beside into something else.
OTHER_SENSE = str.split(
    "permission access role scope key quota limit replicas 2 node healthy policy later yet if unless when will would"
    " may might should must soon before after until only fully properly almost never isn't? without or but except still"
    " serving deploying pending another other all some cm-2 cm-12 ds-2 workflow tool region version endpoint route path"
    " you your allowed authorized denied try again tenant by in on at from true false whether"
)
own_phrases = st.lists(st.sampled_from([*OWN_WORDS, MODEL, JOB, ",", ".", ":"]), max_size=8).map(" ".join)
whole = st.sampled_from([text for texts in TRUE.values() for text in texts])


@settings(max_examples=500, deadline=None)
@given(own_phrases | whole, st.sampled_from(OTHER_SENSE), own_phrases | whole, st.booleans(), forms)
def test_no_sentence_with_a_word_of_another_sense_is_certain(
    before: str, word: str, after: str, joined: bool, form: Callable[[str], JsonValue]
) -> None:
    text = f"{before} {word} {after}" if joined else f"{before}. {word} {after}"
    for what, judge in JUDGES.items():
        assert judge(form(text)) is not Evidence.CERTAIN, what


@settings(max_examples=400, deadline=None)
@given(whole, st.data(), forms)
def test_no_true_sentence_into_which_such_a_word_is_put_is_certain(
    text: str, data: st.DataObject, form: Callable[[str], JsonValue]
) -> None:
    words = text.split()
    at = data.draw(st.integers(0, len(words)))
    words.insert(at, data.draw(st.sampled_from([*OTHER_SENSE, "not", "no"])))
    for what, judge in JUDGES.items():
        assert judge(form(" ".join(words))) is not Evidence.CERTAIN, what


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=30) | whole,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["message", "error", "errors", "msg", "detail", "code", "path"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_the_shape_only_the_platform_s_is_certain(body: JsonValue) -> None:
    own = isinstance(body, dict) and (
        isinstance(body.get("message"), str) or (isinstance(body.get("errors"), list) and body["errors"])
    )
    for judge in JUDGES.values():
        assert own or judge(body) is Evidence.FOREIGN


# Long and hostile texts

HOSTILE = [
    *("<head", "<script>", "<style ", "<a ", "</script ", "<", "\x1b[", "\x1b[0;", " ", "a", "/", "a/", "a_", "'"),
    *("not ", "no ", "model ", "no model ", "not found ", "there is no ", "the ", MODEL, f"{MODEL} ", "n't", ", ", "."),
    *("model with id ", "is not deployed ", "no deployment ", "no aaaa ", "can not undeploy model ", "is currently "),
    *("another job ", "deploy ", "is already ", "model .", "E_", "eE", "errerror"),
]


def seconds(piece: str, length: int) -> float:
    """The time of this thread that such an answer takes, at best."""
    text = (piece * (length // len(piece) + 1))[:length]
    bodies: list[JsonValue] = [
        text,
        {"message": text},
        {"errors": [{"msg": text, "code": text}]},
        {"errors": [{"msg": "Model is not deployed", "code": text}]},
    ]
    best = 60.0
    for _ in range(2):
        began = time.thread_time()
        for body in bodies:
            message_in(body)
            meaning(404, body)
            meaning(404, body, job_id=JOB)
            meaning(409, body, action="DEPLOY")
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_grows_with_the_length_and_not_with_its_square(piece: str) -> None:
    # Eight times the length takes eight times as long, or sixty-four where each place is looked at from each other.
    assert seconds(piece, 64 * 1024) < 24 * seconds(piece, 8 * 1024) + 0.02


def test_many_errors_take_no_longer() -> None:
    def took(count: int) -> float:
        body: JsonValue = {"errors": [{"msg": "Model is not deployed", "code": "E"}] * count}
        began = time.thread_time()
        assert JUDGES["not deployed"](body) is (Evidence.CERTAIN if count < 5 else Evidence.DOUBTFUL)
        return time.thread_time() - began

    took(4)
    assert took(16_000) < 24 * took(2_000) + 0.02
