"""What is found in an export, whatever form it has; nothing in it does harm."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.api.archive import config_in
from pulumi_koreai.api.errors import ExportProblem, ExportUnusable

CONFIG = {"name": "chat", "deviceType": "g5.xlarge"}
TEXT = json.dumps(CONFIG).encode()


def in_zip(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def in_tar(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def in_tar_gz(files: Mapping[str, bytes]) -> bytes:
    return gzip.compress(in_tar(files))


FORMS = pytest.mark.parametrize("form", [in_zip, in_tar, in_tar_gz])


def problem(content: bytes) -> ExportProblem:
    with pytest.raises(ExportUnusable) as caught:
        config_in(io.BytesIO(content), "cm-1")
    return caught.value.problem


@FORMS
@pytest.mark.parametrize(
    "name", ["deployconfig.json", "a/b/deployconfig.json", "DeployConfig.JSON", "../deployconfig.json"]
)
def test_it_is_found_wherever_it_is(form: object, name: str) -> None:
    assert callable(form)
    content = form({"weights.bin": b"\0" * 100_000, name: TEXT, "deployconfig.json.bak": b"{"})
    assert config_in(io.BytesIO(content), "cm-1") == CONFIG


def test_it_may_be_all_there_is() -> None:
    assert config_in(io.BytesIO(TEXT), "cm-1") == CONFIG


@FORMS
def test_the_same_one_twice_is_one_and_two_are_none(form: object) -> None:
    assert callable(form)
    twice = {"a/deployconfig.json": TEXT, "b/deployconfig.json": TEXT}
    assert config_in(io.BytesIO(form(twice)), "cm-1") == CONFIG
    assert problem(form({**twice, "b/deployconfig.json": b"{}"})) is ExportProblem.SEVERAL_CONFIGS


@FORMS
def test_what_is_missing_or_no_json_is_told(form: object) -> None:
    assert callable(form)
    assert problem(form({"README.md": b""})) is ExportProblem.NO_CONFIG
    for text in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b" " * (2 << 20)):
        assert problem(form({"deployconfig.json": text})) is ExportProblem.BAD_CONFIG


def test_what_is_compressed_is_read_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem(in_zip({"deployconfig.json": b" " * (1 << 26)})) is ExportProblem.BAD_CONFIG
    monkeypatch.setattr("pulumi_koreai.api.archive._UNPACKED_MAX_BYTES", 1 << 20)
    bomb = in_tar_gz({"zeros": b"\0" * (1 << 24), "deployconfig.json": TEXT})
    assert len(bomb) < 1 << 16
    assert problem(bomb) is ExportProblem.NO_ARCHIVE


def test_a_link_is_not_followed() -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo("deployconfig.json")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert problem(content.getvalue()) is ExportProblem.NO_CONFIG


@FORMS
@given(cut_at=st.integers(0, 2000), noise=st.binary(max_size=40))
def test_a_broken_archive_is_an_error_and_nothing_else(form: object, cut_at: int, noise: bytes) -> None:
    assert callable(form)
    content = form({"deployconfig.json": TEXT})
    for broken in (content[:cut_at], content[:cut_at] + noise + content[cut_at + len(noise) :], noise):
        with suppress(ExportUnusable):
            config_in(io.BytesIO(broken), "cm-1")
