"""The schema, the values and the words, without Terraform; and that nobody else pays for them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped] # it has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tf.types import Unknown  # type: ignore[import-untyped] # it has no types
from tf.utils import Diagnostics, read_dynamic_value, to_dynamic_value  # type: ignore[import-untyped]

import pulumi_koreai
from pulumi_koreai.api.declared import UNKNOWN
from pulumi_koreai.api.errors import ConfigError, Remedy, SettingFault
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.core import spec
from pulumi_koreai.core import state as state_of
from pulumi_koreai.core.rules import ModelState, Record
from pulumi_koreai.core.spec import check, python_spelling
from pulumi_koreai.terraform import process
from pulumi_koreai.terraform.provider import Provider
from pulumi_koreai.terraform.schema import (
    ATTRIBUTES,
    RESULTS,
    Exact,
    Nested,
    TerraformSpec,
    Values,
    declared,
    decoded,
    encoded,
    resource_schema,
)
from pulumi_koreai.terraform.terms import TERRAFORM
from tests.core.fakes import PARAMETERS

PACKAGE = Path(pulumi_koreai.__file__).parent
GIVEN: dict[str, Any] = {**PARAMETERS, "model_id": "cm-1"}


def over_the_wire(values: Values) -> Values:
    return decoded(ATTRIBUTES, read_dynamic_value(to_dynamic_value(encoded(ATTRIBUTES, values))))


def test_each_field_is_an_attribute_and_each_result_a_computed_one() -> None:
    fields = TerraformSpec.model_fields
    assert {attribute.name for attribute in ATTRIBUTES} == {*fields, *RESULTS} >= {*spec.RESULTS}
    for attribute in ATTRIBUTES:
        field = fields.get(attribute.name)
        required = field is not None and field.is_required()
        assert attribute.required == required
        assert attribute.optional == (field is not None and not required)
        assert attribute.computed == (field is None or (not required and field.default is not None))
        assert attribute.description
    assert [attribute.name for attribute in ATTRIBUTES if attribute.requires_replace] == ["model_id"]


def test_the_schema_on_the_wire_nests_the_parameters_and_describes_them() -> None:
    block = resource_schema().to_pb().block
    (hyper,) = (attribute for attribute in block.attributes if attribute.name == "hyper_parameters")
    inner = {attribute.name: attribute for attribute in hyper.nested_type.attributes}
    assert inner["temperature"].required
    assert "Allowed: a number from 0 to 2." in inner["temperature"].description
    assert inner["stop_sequence"].optional
    assert inner["stop_sequence"].type == b'["list","string"]'
    assert not hyper.type


def test_each_setting_of_the_block_is_described_with_its_limits_and_where_else_it_is_read() -> None:
    described = {each.name: each.description for each in process.provider_schema().to_pb().block.attributes}
    for name, about in Settings.about().items():
        assert described[name].startswith(about.description)
        assert about.environment in described[name]
    assert "Allowed: a number from 1 to 1000000. Default: 60." in described["requests_per_minute"]


@pytest.mark.parametrize(
    "fault", [SettingFault("host", "not set", Remedy.SET_HOST), SettingFault("poll_min_seconds", "got 'soon'")]
)
def test_a_fault_of_the_configuration_is_reported_at_its_attribute(
    fault: SettingFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise ConfigError([fault])

    provider = Provider()
    monkeypatch.setattr(provider.process, "configure", refuse)
    diagnostics = Diagnostics()
    provider.configure_provider(diagnostics, {})
    [told] = diagnostics.diagnostics
    assert (told.summary, told.path) == (TERRAFORM.setting_fault(fault), [fault.setting])


def test_the_key_alone_is_sensitive_and_nothing_is_required() -> None:
    attributes = process.provider_schema().to_pb().block.attributes
    assert [attribute.name for attribute in attributes if attribute.sensitive] == ["api_key"]
    assert [attribute.name for attribute in attributes] == [
        "host",
        "api_key",
        "requests_per_minute",
        "poll_min_seconds",
        "poll_max_seconds",
        "answer_max_seconds",
    ]
    assert all(attribute.optional for attribute in attributes)


# Terraform sends a whole number as such, a decimal that is a float as a float, any other one as text.
decimals = st.decimals(min_value=0, max_value=2, places=200).map(str) | st.floats(0, 2).map(repr)


@given(decimals)
def test_a_decimal_comes_back_to_the_last_digit(text: str) -> None:
    values: Values = {"hyper_parameters": {"temperature": text}}
    sent = over_the_wire(over_the_wire(decoded(ATTRIBUTES, values)))
    assert sent["hyper_parameters"]["temperature"] == float(text)
    assert encoded(ATTRIBUTES, sent)["hyper_parameters"]["temperature"] == text


@given(st.floats(0, 2))
def test_a_float_of_ours_is_the_decimal_that_is_written(value: float) -> None:
    assert float(encoded(ATTRIBUTES, {"last_job_seconds": value})["last_job_seconds"]) == value
    assert isinstance(encoded(ATTRIBUTES, {"last_job_seconds": 0.7})["last_job_seconds"], str)


def test_what_is_not_given_or_not_known_is_checked_as_such() -> None:
    hyper = {**GIVEN["hyper_parameters"], "temperature": Unknown, "stop_sequence": ["a", Unknown]}
    values = over_the_wire({**GIVEN, "hyper_parameters": hyper, "scaling_parameters": {"min_replicas": None}})
    assert values["timeouts"] is None
    assert values["scaling_parameters"]["max_replicas"] is None
    inputs, faults = check(TerraformSpec, declared(values), python_spelling)
    assert faults == []
    assert "scaling_parameters" not in inputs
    read: Any = inputs["hyper_parameters"]
    assert (read["temperature"], read["stop_sequence"]) == (UNKNOWN, ["a", UNKNOWN])


def test_every_attribute_is_on_the_wire_whatever_is_given() -> None:
    packed = msgpack.unpackb(to_dynamic_value(encoded(ATTRIBUTES, {"timeouts": {}})).msgpack)
    assert set(packed) == {attribute.name for attribute in ATTRIBUTES}
    nested = {attribute.name: attribute.type for attribute in ATTRIBUTES if isinstance(attribute.type, Nested)}
    assert set(packed["timeouts"]) == {attribute.name for attribute in nested["timeouts"].attributes}


@given(
    st.sampled_from(ModelState),
    st.sampled_from(["", "ds-1"]),
    st.sampled_from(["", "DEPLOY", "UNDEPLOY"]),
    st.sampled_from(["", "IN_PROGRESS", "SUCCESS", "FAILED", "UNKNOWN"]),
    st.floats(0, 1e6),
)
def test_a_record_is_read_from_the_outputs_that_it_was_written_to(
    state: ModelState, job_id: str, action: str, status: str, seconds: float
) -> None:
    spec = TerraformSpec.model_validate(GIVEN)
    record = Record(state, spec.parameters(), job_id, action, status, seconds)
    assert state_of.record(over_the_wire(state_of.outputs(spec, record))) == record


def test_exact_is_a_number_like_any_other() -> None:
    assert Exact("0.70") == 0.7
    assert encoded(ATTRIBUTES, {"last_job_seconds": Exact("0.70")})["last_job_seconds"] == "0.70"


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_without_the_extra_everything_else_works_and_the_provider_says_what_to_install() -> None:
    without = "import sys; sys.modules['tf'] = None; "
    assert python(f"{without}import pulumi_koreai.resource, pulumi_koreai.host.server; print('works')") == "works\n"
    asked = (
        f"{without}import os; os.environ['TF_PLUGIN_MAGIC_COOKIE'] = 'x';"
        " from pulumi_koreai.terraform.__main__ import main; main()"
    )
    assert python(asked) == "The Terraform provider needs tf: pip install '<a clone of pulumi-koreai>[terraform]'\n"


def test_by_hand_the_provider_says_what_it_is() -> None:
    assert "terraform starts it" in python(
        "import os; os.environ.pop('TF_PLUGIN_MAGIC_COOKIE', 0);"
        " from pulumi_koreai.terraform.__main__ import main; main()"
    )


def test_nobody_else_imports_it() -> None:
    loaded = python(
        "import sys, pulumi_koreai.resource, pulumi_koreai.stackfile.entries, pulumi_koreai.host.server;"
        "print(*sys.modules)"
    ).split()
    assert "pulumi_koreai.provider" in loaded
    assert [name for name in loaded if name == "tf" or name.startswith(("tf.", "pulumi_koreai.terraform"))] == []
