"""`koreai check`: every fault once, at its place, and no word of a key."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_koreai import cli
from pulumi_koreai.api.declared import UNKNOWN
from pulumi_koreai.stackfile.check import Finding, findings
from pulumi_koreai.stackfile.entries import MODELS_KEY
from pulumi_koreai.stackfile.yamlfile import NotYaml, Place, YamlFile, plain
from tests.stackfile.entries import SHORT
from tests.system.engine.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]

FIVE_FAULTS = """\
# A stack with five faults.
config:
  koreai:host: http://h
  koreai:models:
    chat:
      modelId: cm-1
      deploymentName: chat
      deviceType: g5.xlarge
      hyperParameters: {temperature: 7, maxTokens: 1, topP: 1}

    summary:
      modelId: cm-1
      deploymentName: summary
      devicetype: g5.xlarge
      hyperParameters: {temperature: 0, maxTokens: 1, topP: 1, topK: 1}
"""


def places(text: str) -> list[tuple[int, int]]:
    return [(finding.place.line, finding.place.column) for finding in findings(text.encode())]


def told(text: str) -> list[str]:
    return [finding.text for finding in findings(text.encode())]


def main(arguments: Sequence[str]) -> int:
    return cli.main(["check", *arguments])


def stack(models: str = "{}", settings: str = "") -> str:
    return f"config:\n{settings}  koreai:models: {models}\n"


def test_five_faults_are_five_lines_with_their_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "Pulumi.bad.yaml"
    file.write_text(FIVE_FAULTS)
    assert main([str(file)]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{file}:{line}"
        for line in (
            (
                "3:3: koreai:host: got 'http://h', which would send the key unencrypted;"
                " expected https, or http to this machine"
            ),
            "9:7: chat: hyperParameters.topK: missing; expected a whole number from 1 to 100",
            "9:25: chat: hyperParameters.temperature: got 7; expected a number from 0 to 2",
            "12:7: summary: modelId: cm-1 is also the model of 'chat'; a model has one deployment, so one entry",
            "14:7: summary: devicetype: unknown key; did you mean deviceType?",
        )
    ]
    assert printed.err == "5 errors in 1 file\n"


def test_the_stacks_of_this_repository_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "stacks" / name) for name in ("Pulumi.dev.yaml", "Pulumi.prod.yaml")]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_file_that_can_not_be_opened_is_told_and_the_others_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(stack("3"))
    (tmp_path / "folder.yaml").mkdir()
    assert main([str(tmp_path / "none.yaml"), str(tmp_path / "folder.yaml"), str(bad)]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{bad}:2:3: ")
    assert f"{tmp_path / 'none.yaml'}: can't be opened: No such file" in printed.err
    assert f"{tmp_path / 'folder.yaml'}: can't be opened: " in printed.err


# Two stacks with one model

HERE = "  koreai:host: https://here.example.com\n"


class Stacks:
    """Files of several stacks, checked at once."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def add(self, name: str, settings: str, **models: object) -> str:
        entries = {entry: {**SHORT, **given} if isinstance(given, dict) else given for entry, given in models.items()}
        (self.folder / name).write_text(stack(json.dumps(entries), settings))
        return str(self.folder / name)

    def told(self, *names: str) -> list[str]:
        """Each fault, without the folder."""
        status = main([str(self.folder / name) for name in names])
        lines = self._capsys.readouterr().out.replace(f"{self.folder}/", "").splitlines()
        assert status == (1 if lines else 0)
        return lines


@pytest.fixture
def stacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Stacks:
    return Stacks(tmp_path, capsys)


def test_a_model_of_two_stacks_is_told_at_the_later_one_with_the_place_of_the_first(stacks: Stacks) -> None:
    stacks.add("a.yaml", HERE, chat={}, other={"modelId": "cm-2"})
    stacks.add("b.yaml", HERE, talk={"modelId": "cm-3"}, same={})
    stacks.add("c.yaml", HERE, third={})
    files = {name: (stacks.folder / name).read_text() for name in ("a.yaml", "b.yaml", "c.yaml")}
    column = {name: text.splitlines()[2].index('"modelId": "cm-1"') + 1 for name, text in files.items()}
    too = f"cm-1 is also the model of 'chat' at a.yaml:3:{column['a.yaml']}, on the same platform"
    assert stacks.told("a.yaml", "b.yaml", "c.yaml") == [
        f"b.yaml:3:{column['b.yaml']}: same: modelId: {too}; a model has one deployment, so one stack",
        f"c.yaml:3:{column['c.yaml']}: third: modelId: {too}; a model has one deployment, so one stack",
    ]


@pytest.mark.parametrize(
    "host",
    [
        "https://here.example.com",
        "https://here.example.com/",
        "HTTPS://Here.Example.com:443",
        '" https://here.example.com "',
    ],
)
def test_a_platform_is_the_same_however_its_host_is_written(stacks: Stacks, host: str) -> None:
    stacks.add("a.yaml", HERE, chat={})
    stacks.add("b.yaml", f"  koreai:host: {host}\n", chat={})
    assert "on the same platform" in "".join(stacks.told("a.yaml", "b.yaml"))


@pytest.mark.parametrize(
    "host",
    [
        "  koreai:host: https://there.example.com\n",
        "  koreai:host: https://here.example.com:8443\n",
        "  koreai:host: {secure: v1:abc}\n",
        "",
    ],
    ids=["another", "another port", "encrypted", "of the environment"],
)
def test_one_model_on_platforms_that_differ_or_may_is_no_fault(stacks: Stacks, host: str) -> None:
    stacks.add("a.yaml", HERE, chat={})
    stacks.add("b.yaml", host, chat={})
    assert stacks.told("a.yaml", "b.yaml") == []
    assert stacks.told("b.yaml", "a.yaml") == []


def test_encrypted_hosts_are_not_compared(stacks: Stacks) -> None:
    for name in "a.yaml", "b.yaml":
        stacks.add(name, "  koreai:host: {secure: v1:abc}\n", chat={})
    assert stacks.told("a.yaml", "b.yaml") == []


@pytest.mark.parametrize("empty", ["", "  koreai:host:\n", '  koreai:host: ""\n'])
def test_stacks_that_name_no_platform_have_the_one_of_the_environment(stacks: Stacks, empty: str) -> None:
    stacks.add("a.yaml", "", chat={})
    stacks.add("b.yaml", empty, chat={})
    [fault] = stacks.told("a.yaml", "b.yaml")
    assert ", on the platform of KOREAI_HOST, as neither file has koreai:host; " in fault


def test_an_undeployed_entry_contends_too(stacks: Stacks) -> None:
    # One stack undeploys what the other deploys, as often as one of them has something to do.
    stacks.add("a.yaml", HERE, chat={"deployed": False})
    stacks.add("b.yaml", HERE, chat={})
    assert len(stacks.told("a.yaml", "b.yaml")) == 1


def test_one_file_is_one_stack_however_often_it_is_named(stacks: Stacks) -> None:
    stacks.add("a.yaml", HERE, chat={})
    (stacks.folder / "link.yaml").symlink_to("a.yaml")
    assert stacks.told("a.yaml", "./a.yaml", "link.yaml") == []


def test_faults_of_one_file_do_not_hide_those_between_two(stacks: Stacks) -> None:
    stacks.add("a.yaml", HERE, chat={"adopt": 3}, again={}, odd=3, none={"modelId": None}, id={"modelId": 3})
    stacks.add("b.yaml", HERE, odd=3, none={"modelId": None}, id={"modelId": 3}, chat={}, again={})
    told = [line.partition("chat: ")[2] for line in stacks.told("a.yaml", "b.yaml") if "platform" in line]
    assert len(told) == 1, "once for a model of a file"
    assert told[0].startswith("modelId: cm-1 is also the model of 'chat' at a.yaml:3:")


@pytest.mark.parametrize("key", ["kg-aaaa-secret", "12345678", "[kg-secret]", "{secure: [kg-secret]}", "true"])
def test_a_key_that_is_not_encrypted_is_a_fault_and_never_shown(key: str) -> None:
    [fault] = told(stack(settings=f"  koreai:apiKey: {key}\n"))
    assert fault.startswith("koreai:apiKey: it is not encrypted")
    assert "pulumi config set --secret koreai:apiKey" in fault
    assert not re.search(r"kg-|12345678|true", fault)


@pytest.mark.parametrize("key", ["{secure: v1:abc}", "", '""'])
def test_an_encrypted_key_or_none_is_no_fault(key: str) -> None:
    assert told(stack(settings=f"  koreai:apiKey: {key}\n")) == []


@pytest.mark.parametrize(
    "settings, start",
    [
        ("  koreai:hots: x\n", "koreai:hots: unknown setting; did you mean koreai:host?"),
        ("  koreai:zzzzzz: x\n", "koreai:zzzzzz: unknown setting; known settings: koreai:host, "),
        ("  koreai:requestsPerMinute: 0\n", "koreai:requestsPerMinute: got '0'; expected a number from 1"),
        ('  koreai:requestsPerMinute: "many"\n', "koreai:requestsPerMinute: got 'many'"),
        ("  koreai:requestsPerMinute: true\n", "koreai:requestsPerMinute: got 'true'"),
        ("  koreai:config:pollMinSeconds: -1\n", "koreai:pollMinSeconds: got '-1'"),
        ("  koreai:host: [https://h]\n", "koreai:host: "),
        ("  koreai:host: https://name:kg-secret@h\n", "koreai:host: a user name or a password in the URL"),
    ],
)
def test_a_setting_that_is_there_is_checked(settings: str, start: str) -> None:
    [finding] = findings(stack(settings=settings).encode())
    assert finding.text.startswith(start)
    assert "kg-secret" not in finding.text
    assert finding.place == Place(2, 3)


def test_a_shortest_pause_above_the_longest_is_told_where_one_of_them_is() -> None:
    text = stack(settings="  koreai:pollMaxSeconds: 3\n  koreai:pollMinSeconds: 4\n")
    assert told(text) == ["koreai:pollMinSeconds: got 4; expected at most 3, the longest pause"]
    assert places(text) == [(3, 3)]
    alone = stack(settings="  koreai:pollMaxSeconds: 0.5\n")
    assert told(alone) == ["koreai:pollMaxSeconds: got 0.5; expected at least 1, the shortest pause"]
    assert places(alone) == [(2, 3)], "the other is the default"


@pytest.mark.parametrize(
    "value",
    ["120", '"120"', "1e2", "0x10", "~", '""', "{secure: v1:abc}"],
    ids=lambda value: value.strip('"') or "empty",
)
def test_a_setting_as_the_engine_takes_it_is_none(value: str) -> None:
    assert told(stack(settings=f"  koreai:requestsPerMinute: {value}\n")) == []


@pytest.mark.parametrize(
    "text, place",
    [
        ("config:\n\tx: 1\n", (2, 1)),
        ("config:\n  a: [1\n", (3, 1)),
        ("config:\n  a: @x\n", (2, 6)),
        ("config:\n  a: *x\n", (2, 6)),
        ("config:\n  ? [1]\n  : 2\n", (2, 5)),
        ("config:\n  a: &x [*x]\n", (2, 6)),
        ("config: {}\n---\nconfig: {}\n", (3, 1)),
        ("config:\n  a: \x07\n", (2, 6)),
        ("[" * 5000 + "]" * 5000, (1, 1)),
    ],
    ids=["tab", "open", "sign", "alias", "key", "recursion", "documents", "control", "deep"],
)
def test_what_is_no_yaml_is_one_fault_with_its_place(text: str, place: tuple[int, int]) -> None:
    assert places(text) == [place]


def test_what_is_no_utf_8_is_one_fault_with_its_place() -> None:
    [finding] = findings("config:\n  é: \xfc".encode("latin-1"))
    assert finding == Finding(Place(2, 3), "this is not UTF-8")
    assert findings(b"\xef\xbb\xbf" + stack().encode()) == [], "a mark at the beginning is none"


def test_a_key_that_is_given_twice_is_told_with_both_places() -> None:
    text = FIVE_FAULTS.replace("    summary:", "    chat:")
    assert Finding(Place(11, 5), "chat: duplicate key, first in line 5; the engine refuses that") in findings(
        text.encode()
    )
    assert told("config: {}\nconfig:\n  koreai:models: {}\n") == [
        "config: duplicate key, first in line 1; the engine refuses that"
    ]


@pytest.mark.parametrize("text", ["", "encryptionsalt: v1:x\n", "config:\n", "config: {}\n", "[]\n", "config: []\n"])
def test_a_file_without_models_is_told_how_to_have_none(text: str) -> None:
    assert told(text) == [f"{MODELS_KEY} is missing; write `{{}}` for no model"]


@pytest.mark.parametrize("config", ["", "config:\n  koreai:host: https://h.example.com\n"])
def test_models_that_may_come_from_an_environment_are_not_missing(config: str) -> None:
    assert told(f"environment:\n  - models/prod\n{config}") == []
    assert told(f"environment: []\n{config}") == [f"{MODELS_KEY} is missing; write `{{}}` for no model"]


@pytest.mark.parametrize("key", ["koreai:models", "koreai:config:models"])
def test_the_models_are_found_however_the_engine_lets_them_be_named(key: str) -> None:
    assert places(f"config:\n  {key}:\n    chat: 3\n") == [(3, 5)]


@pytest.mark.parametrize("key", ["models", "koreai-models:models", "koreai-models:config:models", "shop:models"])
@pytest.mark.parametrize("value", ["{chat: 3}", "{secure: v1:abc}", "x"])
def test_another_key_for_the_models_is_one_error_that_says_the_right_one(key: str, value: str) -> None:
    [finding] = findings(f"config:\n  koreai:host: https://h\n  {key}: {value}\n".encode())
    full = key.replace(":config:", ":")
    assert finding == Finding(Place(3, 3), f"{full}: this key is not read; rename it to koreai:models")


def test_beside_the_models_only_their_former_key_is_wrong() -> None:
    assert told(f"{stack()}  models: 3\n  shop:models: [x]\n") == []
    former = "koreai-models:models: this key is not read; rename it to koreai:models"
    assert told(f"{stack()}  koreai-models:models: {{}}\n") == [former]
    assert told(f"environment: [team]\n{stack().replace('koreai:', 'koreai-models:')}") == [former]
    assert [each.partition(":")[0] for each in told(f"{stack('{chat: 3}')}  koreai-models:models: {{}}\n")] == [
        "chat",
        "koreai-models",
    ]


def test_what_is_encrypted_is_not_judged() -> None:
    entry = json.dumps({**SHORT, "deviceType": {"secure": "v1:abc"}})
    assert told(stack(f"{{chat: {entry}}}")) == []
    assert told(stack("{secure: v1:abc}")) == []


def test_a_fault_of_what_is_merged_in_is_told_where_it_is_written() -> None:
    text = (
        f"common: &common {json.dumps({**SHORT, 'deviceType': 'g5'})}\n"
        "config:\n  koreai:models:\n    chat: {<<: *common, deploymentName: mine}\n"
    )
    [finding] = findings(text.encode())
    assert finding.text.startswith('chat: deviceType: got "g5"')
    assert finding.place == Place(1, text.index('"deviceType"') + 1)


def test_what_is_merged_in_counts_less_than_the_map_s_own_and_the_first_more_than_the_second() -> None:
    text = b"a: &a {x: 1, y: 1, z: 1}\nb: &b {y: 2, z: 2, v: 2}\nc: {z: 3, <<: [*a, *b]}\nd: {<<: *b, v: 4}\n"
    data = YamlFile.read(text).data
    assert isinstance(data, dict)
    assert (data["c"], data["d"]) == ({"x": 1, "y": 1, "z": 3, "v": 2}, {"y": 2, "z": 2, "v": 4})


def test_only_a_map_of_nothing_else_is_encrypted() -> None:
    assert YamlFile.read(b"{a: {secure: x}, b: {secure: x, y: 1}, c: {secure: [x]}}").data == {
        "a": UNKNOWN,
        "b": {"secure": "x", "y": 1},
        "c": {"secure": ["x"]},
    }


def test_a_path_through_a_list_and_odd_names() -> None:
    entry = {**SHORT, "hyperParameters": {**SHORT["hyperParameters"], "stopSequence": ["a", 3]}, "a.b": 1}
    text = stack(f'{{"odd\\e[31m": {json.dumps(entry)}}}')
    unknown, item = findings(text.encode())
    if unknown.place > item.place:
        unknown, item = item, unknown
    by_text = {finding.text.split(": ")[1]: finding.place.column for finding in (unknown, item)}
    line = text.splitlines()[1]
    assert by_text == {
        "hyperParameters.stopSequence[1]": line.index(", 3]") + 3,
        "a.b": line.index('"a.b"') + 1,
    }
    assert "\x1b" not in unknown.text + item.text


@settings(deadline=None)
@given(st.text(max_size=80) | st.text(st.sampled_from("ab:{}[]-?&*!|>'\"%@` \n#,<~"), max_size=40))
def test_whatever_a_file_holds_it_is_told_in_single_lines(text: str) -> None:
    for finding in findings(text.encode("utf-8", "surrogatepass")):
        assert finding.text.isprintable()
        assert finding.place >= Place(1, 1)


def test_it_needs_neither_the_engine_s_sdk_nor_a_key() -> None:
    names = "sorted({name.partition('.')[0] for name in sys.modules})"
    code = f"import sys; import pulumi_koreai.stackfile.check; print({names})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pulumi", "grpc", "dill", "requests", "aiohttp"} & set(eval(done.stdout))


def test_the_hook_s_command_and_its_files() -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert all(re.search(hook["files"], f"stacks/{path.name}") for path in (ROOT / "stacks").glob("*.yaml"))
    assert not re.search(hook["files"], "Pulumi.yaml")
    assert not re.search(hook["files"], "stacks/schema.json")
    program, *arguments = shlex.split(hook["entry"])
    assert (program, hook["language"]) == ("koreai", "python")
    command = [sys.executable, "-m", "pulumi_koreai", *arguments, "stacks/Pulumi.prod.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# As the engine reads

SCALARS = """
null Null NULL ~ true True TRUE tRUE false yes no on off y n
0 -0 +5 010 08 0o10 0O10 0x1F 0X1f 0b11 0xg 1_000 1__0 _1
1.0 1. .5 -.5 +.5 1e3 1E3 1e+3 1e-3 .5e1 1_0.5 ._5 1e 0x1p3 1:30 1,5 1.2.3 12e03 + . = <<x
""".split()  # noqa: SIM905 - as they would stand in a file


@pytest.mark.engine
def test_a_scalar_means_what_the_engine_makes_of_it(workspace: Workspace) -> None:
    scalars = [*SCALARS, ""]
    lines = "".join(f"    - {scalar}\n" for scalar in scalars)
    stack_file = workspace.folder / "stacks" / "Pulumi.test.yaml"
    stack_file.write_text(f"{stack_file.read_text()}".replace("config:\n", f"config:\n  list:\n{lines}", 1))
    by_the_engine = json.loads(workspace.pulumi("config", "--json").output)["koreai-models:list"]["objectValue"]
    ours = [plain(scalar) for scalar in scalars]
    assert [(type(value) is bool, value) for value in ours] == [(type(value) is bool, value) for value in by_the_engine]
    data = YamlFile.read(stack_file.read_bytes()).data
    assert isinstance(data, dict)
    assert data["config"]["list"] == ours


@pytest.mark.engine
@pytest.mark.parametrize(
    "config, reason",
    [
        ("  a: 1\n  a: 2\n", "already defined"),
        ("  v: &a {x: *a}\n", "contains itself"),
        ("  v: {? [1] : a}\n", "invalid map key"),
    ],
)
def test_what_the_engine_refuses_is_told(workspace: Workspace, config: str, reason: str) -> None:
    stack_file = workspace.folder / "stacks" / "Pulumi.test.yaml"
    stack_file.write_text(f"config:\n{config}  koreai:models: {{}}\n")
    assert reason in workspace.pulumi("config", fails=True).output
    assert len(findings(stack_file.read_bytes())) == 1


@pytest.mark.engine
def test_what_the_engine_writes_keeps_the_comments_and_is_no_fault(workspace: Workspace) -> None:
    stack_file = workspace.folder / "stacks" / "Pulumi.test.yaml"
    named = "# yaml-language-server: $schema=schema.json\n"
    written_by_hand = (ROOT / "stacks" / "Pulumi.dev.yaml").read_text()
    stack_file.write_text(named + written_by_hand.removeprefix(named))
    workspace.pulumi("config", "set", "--secret", "koreai:apiKey", given="kg-secret")
    workspace.pulumi("config", "set", "koreai:requestsPerMinute", "120")
    temperature = "koreai:models.chat.hyperParameters.temperature"
    workspace.pulumi("config", "set", "--path", temperature, "0.2")
    text = stack_file.read_text()
    assert text.startswith(named)
    assert "# A stack to try things with" in text
    assert 'temperature: "0.2"' in text, "a text: the engine knows whole numbers alone on its command line"
    assert findings(text.encode()) == []
    assert "5 to create" in workspace.preview(), "the stack and its models"


def test_a_place_is_that_of_the_nearest_key_above_one_that_is_missing() -> None:
    file = YamlFile.read(b"a:\n  b: 1\n")
    assert file.place(("a", "b", "c")) == Place(2, 3)
    assert file.place(("x",)) == Place()
    with pytest.raises(NotYaml, match="UTF-8"):
        YamlFile.read(b"\xff")
