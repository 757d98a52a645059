"""The journal: what it tells, and what it does when the file, the disk or another process is not as it should be."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pulumi_koreai.journal import Journal, Journals, Kind, Line, Trouble, TroubleKind
from pulumi_koreai.journal import calls as calls_module
from pulumi_koreai.journal import file as file_module
from pulumi_koreai.journal.calls import digest_of, new_salt

HOST = "https://platform.example.com"
MODEL = "cm-1"


class Kept:
    """A journal, and what was told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.troubles: list[Trouble] = []
        self.journal = Journal(path, lambda: 1000.0, self.troubles.append)

    @property
    def kinds(self) -> list[TroubleKind]:
        return [trouble.kind for trouble in self.troubles]

    def sent(self, call: str, model_id: str = MODEL, **facts: object) -> None:
        self.write(call, Kind.SENT, host=HOST, model_id=model_id, action="DEPLOY", **facts)

    def write(self, call: str, kind: Kind, **facts: object) -> None:
        self.journal.write(Line.model_validate({"at": 1000.0, "call": call, "kind": kind, **facts}))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "journal" / "p.s.jsonl")


@pytest.fixture
def _limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "_SIZE_MAX_BYTES", 2000)


def test_a_call_is_told_as_it_was_written(kept: Kept) -> None:
    kept.sent("a", urn="urn:x", base="deployed ds-0 DEPLOY SUCCESS", salt="s", digest="d")
    kept.write("a", Kind.ANSWERED, job_id="ds-1", status="IN_PROGRESS")
    (call,) = kept.journal.calls(HOST, MODEL)
    assert (call.call, call.urn, call.base, call.at) == ("a", "urn:x", "deployed ds-0 DEPLOY SUCCESS", 1000.0)
    assert call.last is not None
    assert (call.last.action, call.last.job_id, call.last.status) == ("DEPLOY", "ds-1", "IN_PROGRESS")
    assert not call.closed
    kept.write("a", Kind.ENDED, job_id="ds-1", status="SUCCESS")
    kept.write("a", Kind.CLOSED)
    (call,) = kept.journal.calls(HOST, MODEL)
    assert call.last is not None
    assert call.last.status == "SUCCESS"
    assert call.closed
    assert kept.journal.calls("https://another.example.com", MODEL) == []
    assert kept.troubles == []


def test_a_request_that_was_not_taken_is_none(kept: Kept) -> None:
    kept.sent("a")
    kept.write("a", Kind.ANSWERED, job_id="ds-1", status="SUCCESS")
    kept.sent("a")
    kept.write("a", Kind.NOT_TAKEN)
    (call,) = kept.journal.calls(HOST, MODEL)
    assert call.last is not None
    assert call.last.job_id == "ds-1"
    kept.sent("b")
    kept.write("b", Kind.NOT_TAKEN)
    assert [call.call for call in kept.journal.last_calls()] == ["a"]


def test_another_process_s_lines_are_seen(kept: Kept) -> None:
    kept.sent("a")
    assert len(kept.journal.calls(HOST, MODEL)) == 1
    other = Kept(kept.path)
    other.sent("b")
    assert [call.call for call in kept.journal.calls(HOST, MODEL)] == ["a", "b"]
    kept.path.unlink()
    assert kept.journal.calls(HOST, MODEL) == []


def test_the_folder_is_private_and_ignored_by_git(kept: Kept) -> None:
    kept.sent("a")
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700
    assert (kept.path.parent / ".gitignore").read_text() == "*\n"


def test_each_stack_has_a_file_whatever_its_name(tmp_path: Path) -> None:
    journals = Journals(tmp_path, lambda: 1.0, lambda _: None)
    assert journals.of("p.dev") is journals.of("p.dev")
    paths = {journals.of(name).path for name in ("p.dev", "../p.dev", "p/dev", "p.prod")}
    assert len(paths) == 4
    assert {path.parent for path in paths} == {tmp_path}


def test_a_commit_can_not_bring_a_journal(kept: Kept) -> None:
    kept.sent("a")
    kept.path.chmod(0o644)  # git keeps no other
    reader = Kept(kept.path)
    assert reader.journal.calls(HOST, MODEL) == []
    reader.sent("b")
    assert reader.kinds == [TroubleKind.NOT_PRIVATE]
    assert "b" not in kept.path.read_text()


def test_a_link_is_not_followed(kept: Kept, tmp_path: Path) -> None:
    kept.path.parent.mkdir()
    (target := tmp_path / "elsewhere").write_text("")
    kept.path.symlink_to(target)
    kept.sent("a")
    assert kept.journal.calls(HOST, MODEL) == []
    assert target.read_text() == ""
    assert set(kept.kinds) == {TroubleKind.NOT_WRITTEN, TroubleKind.NOT_READ}


def test_a_folder_that_can_t_be_made_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    kept = Kept(tmp_path / "journal" / "p.jsonl")
    kept.sent("a")
    kept.sent("b")
    assert kept.kinds == [TroubleKind.NOT_WRITTEN]
    assert kept.troubles[0].detail


@pytest.mark.parametrize("broken", ["write", "fsync", "open"])
def test_a_disk_that_fails_is_told_and_raises_nothing(kept: Kept, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    kept.sent("a")
    monkeypatch.undo()
    assert kept.kinds == [TroubleKind.NOT_WRITTEN]
    assert kept.troubles[0].detail == "No space left on device"


def test_half_a_line_spoils_no_other(kept: Kept) -> None:
    kept.sent("a")
    with kept.path.open("ab") as file:
        file.write(b'{"at": 1, "call": "half')
    assert [call.call for call in kept.journal.calls(HOST, MODEL)] == ["a"], "it may become whole yet"
    assert kept.kinds == []
    kept.sent("b")
    assert [call.call for call in kept.journal.calls(HOST, MODEL)] == ["a", "b"]
    assert kept.kinds == [TroubleKind.CORRUPT]


@pytest.mark.parametrize(
    "line, kind",
    [
        (b"\xff\x00", TroubleKind.CORRUPT),
        (b"[]", TroubleKind.CORRUPT),
        (b'{"at":1,"call":"x","kind":"sent","job_id":"ds 1\\n"}', TroubleKind.CORRUPT),
        (b'{"at":1,"call":"x","kind":"sent","host":"' + b"x" * 3000 + b'"}', TroubleKind.CORRUPT),
        (b'{"version":2,"when":1,"call":"x","kind":"sent"}', TroubleKind.NEWER),
    ],
)
def test_what_can_t_be_understood_is_passed_over_and_told(kept: Kept, line: bytes, kind: TroubleKind) -> None:
    kept.sent("a")
    with kept.path.open("ab") as file:
        file.write(line + b"\n")
    kept.sent("b")
    assert [call.call for call in kept.journal.calls(HOST, MODEL)] == ["a", "b"]
    assert kept.kinds == [kind]


@pytest.mark.usefixtures("_limited")
def test_the_file_stays_small_and_keeps_the_last_two_calls_of_each_model(kept: Kept) -> None:
    kept.sent("first", "cm-other")
    for number in range(300):
        kept.sent(f"call-{number}")
        kept.write(f"call-{number}", Kind.CLOSED)
    assert kept.path.stat().st_size < 6000
    assert [call.call for call in kept.journal.calls(HOST, "cm-other")] == ["first"]
    assert [call.call for call in kept.journal.calls(HOST, MODEL)][-2:] == ["call-298", "call-299"]
    assert [path.name for path in kept.path.parent.iterdir() if path.suffix != ".jsonl"] == [".gitignore"]
    assert kept.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("_limited")
def test_threads_lose_no_line(kept: Kept) -> None:
    def write(number: int) -> None:
        for one in range(20):
            kept.sent(f"{number}-{one}", f"cm-{number}-{one}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.journal.last_calls()) == 80
    assert kept.troubles == []


WRITES = """
import sys
from pathlib import Path
from pulumi_koreai.journal import Journal, Kind, Line, file
file._SIZE_MAX_BYTES = 2000
journal = Journal(Path(sys.argv[1]), lambda: 1.0, print)
for one in range(30):
    call = f"{sys.argv[2]}-{one}"
    journal.write(Line(at=1.0, call=call, kind=Kind.SENT, host="h", model_id=f"cm-{call}", action="DEPLOY"))
"""


def test_processes_lose_no_line_though_each_shortens_the_file(kept: Kept) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(kept.path), str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["", "", ""]
    assert len(kept.journal.last_calls()) == 90


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "_SCRYPT_COST", 2)


@pytest.mark.usefixtures("_quick")
def test_a_digest_tells_whether_parameters_are_the_same_and_nothing_else(kept: Kept) -> None:
    salt = new_salt()
    kept.sent("a", salt=salt, digest=digest_of("the parameters", salt))
    (call,) = kept.journal.calls(HOST, MODEL)
    assert call.last is not None
    assert call.last.sent_with("the parameters")
    assert not call.last.sent_with("other parameters")
    assert digest_of("the parameters", salt) != digest_of("the parameters", new_salt())
    assert "parameters" not in kept.path.read_text()
