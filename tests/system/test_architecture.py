"""Rules of the architecture: who imports whom, what is exported, where two lists must agree."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import pulumi_koreai
from pulumi_koreai import HyperParameters, ModelDeployment, OptimizationInfo, ScalingParameters, provider, resource
from pulumi_koreai.api import declared
from pulumi_koreai.core import spec

PACKAGE = Path(pulumi_koreai.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
ENGINE = ("pulumi", "dill", "grpc", "google")
ENGINE_S_FRONT_ENDS = ("adapter.py", "program.py", "provider.py", "resource.py", "terraform/__main__.py")

# Who may import whom: a room, and the rooms that its modules may import. ARCHITECTURE.md has the same as a picture.
MAY_IMPORT = {
    "base": set[str](),
    "host": set[str](),
    "emulator": set[str](),
    "api": {"base"},
    "journal": {"base"},
    "core": {"base", "api", "journal"},
    "stackfile": {"api", "core"},
    "adapter": {"base", "api", "journal", "core", "stackfile", "host"},
    "provider": {"adapter"},
    "resource": {"api", "core", "provider", "host"},
    "report": {"base", "api", "core", "stackfile"},
    "terraform": {"base", "api", "journal", "core", "host"},
    "pipeline": {"base", "api", "host", "journal", "core", "stackfile", "report"},
    "cli": {"base", "api", "core", "emulator", "stackfile", "report", "pipeline"},
    "program": {"resource", "stackfile"},
    "__main__": {"cli"},
    "__init__": {"host", "program", "resource"},
}


def room(module: str) -> str:
    """The room that a module of the package is in; a module of the root is one by itself."""
    return module.partition("/")[0].removesuffix(".py")


def imports(module: str, package: Path = PACKAGE) -> set[str]:
    """The absolute names of all that a module imports, wherever in it."""
    here = ["pulumi_koreai", *Path(module).with_suffix("").parts]
    found: set[str] = set()
    for node in ast.walk(ast.parse((package / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            above = ".".join(here[: len(here) - node.level]) if node.level else ""
            base = ".".join(filter(None, [above, node.module]))
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def of(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if any(name == package or name.startswith(f"{package}.") for package in packages)}


def rooms_imported(module: str) -> set[str]:
    names = of(imports(module), "pulumi_koreai") - {"pulumi_koreai"}
    return {name.split(".")[1] for name in names} - {room(module)}


def test_the_package_s_root_holds_the_front_doors_alone() -> None:
    assert {module for module in MODULES if "/" not in module} == {
        "__init__.py",
        "__main__.py",
        "adapter.py",
        "program.py",
        "provider.py",
        "resource.py",
    }
    assert {room(module) for module in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_the_rooms_below_its_own(module: str) -> None:
    assert rooms_imported(module) <= MAY_IMPORT[room(module)]


def test_the_table_of_rooms_has_no_circle_and_names_no_arrow_that_nobody_takes() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()
    taken = {name: set[str]() for name in MAY_IMPORT}
    for module in MODULES:
        taken[room(module)] |= rooms_imported(module)
    assert taken == MAY_IMPORT


def test_an_import_upwards_is_seen(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/rule.py").write_text("from ..provider import ModelDeploymentProvider\n")
    names = imports("core/rule.py", tmp_path)
    assert {name.split(".")[1] for name in names} - MAY_IMPORT["core"] == {"provider"}


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("host/")])
def test_only_the_front_ends_import_the_engine_s_sdk(module: str) -> None:
    assert bool(of(imports(module), *ENGINE)) == (module in ENGINE_S_FRONT_ENDS)


@pytest.mark.parametrize("module", MODULES)
def test_terraform_is_an_extra(module: str) -> None:
    names = imports(module)
    assert of(names, "pulumi") == set() or not module.startswith("terraform/")
    assert of(names, "tf") == set() or module.startswith("terraform/")


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith(("host/", "emulator/"))])
def test_only_the_clocks_know_the_time_and_only_the_front_ends_the_environment(module: str) -> None:
    names = imports(module)
    assert bool(of(names, "time")) == (module in ("base/clock.py", "adapter.py", "terraform/process.py"))
    front_ends = (
        "adapter.py",
        "cli/adopt.py",
        "cli/doctor.py",
        "terraform/process.py",
        "terraform/__main__.py",
        "pipeline/astray.py",
        "pipeline/engine.py",
        "pipeline/forge.py",
        "pipeline/project_engine.py",
    )
    assert bool(of(names, "os")) == (module in (*front_ends, "journal/file.py"))
    assert module in front_ends or "environ" not in (PACKAGE / module).read_text(encoding="utf-8").split()
    assert of(names, "datetime") == set() or module == "api/refusals.py"


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_provider_is_loaded_without_an_http_library() -> None:
    loaded = loaded_by("import pulumi_koreai.adapter")
    assert "pulumi_koreai.adapter" in loaded
    assert {"requests", "urllib3", "aiohttp", "pulumi_koreai.api.client", "pulumi_koreai.emulator"} & loaded == set()


def test_a_program_loads_what_its_models_need_and_no_more() -> None:
    more = loaded_by("from pulumi_koreai import declare") - loaded_by("from pulumi_koreai import ModelDeployment")
    ours = {f"pulumi_koreai.{name}" for name in ("program", "stackfile", "stackfile.entries")}
    assert more == {"graphlib", *ours}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pulumi_koreai.__version__ == project["version"]


def test_the_lifecycle_is_loaded_without_the_engine_s_sdk_in_its_own_imports() -> None:
    names = set().union(*(imports(module) for module in MODULES if room(module) in ("base", "api", "core")))
    assert of(names, *ENGINE) == set()


def test_what_is_exported_is_what_is_said_to_be() -> None:
    groups = ["HyperParameters", "OptimizationInfo", "ScalingParameters"]
    assert pulumi_koreai.__all__ == sorted([*groups, "ModelDeployment", "__version__", "declare"])
    for name in ("pulumi_koreai", "pulumi_koreai.api", "pulumi_koreai.host"):
        module = importlib.import_module(name)
        assert all(getattr(module, export) is not None for export in module.__all__)
        assert module.__all__ == sorted(module.__all__)
        submodules = {info.name for info in pkgutil.iter_modules(module.__path__)}
        public = {key for key, value in vars(module).items() if not key.startswith("_") and not _foreign(value)}
        assert public - submodules <= set(module.__all__), name


def _foreign(value: object) -> bool:
    """Is it something of typing, that every module has lying about?"""
    return getattr(value, "__module__", None) == "typing" or isinstance(value, bool) or value is None


def test_what_is_exported_by_the_api_is_what_its_modules_define() -> None:
    api = importlib.import_module("pulumi_koreai.api")
    errors = importlib.import_module("pulumi_koreai.api.errors")
    kinds = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.KoreaiError)
    }
    assert kinds <= set(api.__all__)


@pytest.mark.parametrize(
    "typed, model",
    [
        (HyperParameters, declared.HyperParameters),
        (ScalingParameters, declared.ScalingParameters),
        (OptimizationInfo, declared.OptimizationInfo),
    ],
)
def test_the_typed_arguments_have_the_keys_of_the_models_behind_them(typed: Any, model: type[BaseModel]) -> None:
    assert set(typed.__annotations__) == set(model.model_fields)
    assert typed.__required_keys__ == {name for name, field in model.model_fields.items() if field.is_required()}


def test_the_resource_declares_every_argument_and_every_result_as_an_output() -> None:
    (declared,) = ast.parse(inspect.getsource(ModelDeployment)).body
    assert isinstance(declared, ast.ClassDef)
    (for_type_checkers,) = [node for node in declared.body if isinstance(node, ast.If)]
    annotated = [node for node in for_type_checkers.body if isinstance(node, ast.AnnAssign)]
    assert {ast.unparse(node.target) for node in annotated} == {*spec.ProgramSpec.model_fields, *spec.RESULTS}
    assert all(ast.unparse(node.annotation).startswith("pulumi.Output[") for node in annotated)
    assert not inspect.get_annotations(ModelDeployment), "the SDK would read them for each resource"


def test_the_resource_takes_every_argument_but_the_timeouts_which_are_an_option() -> None:
    arguments = set(ModelDeployment.__init__.__annotations__) - {"resource_name", "opts", "return"}
    assert arguments == set(spec.ProgramSpec.model_fields) - {"custom_timeouts"}


def test_the_defaults_of_the_resource_are_those_of_the_models() -> None:
    given = ModelDeployment.__init__.__kwdefaults__ or {}
    fields = spec.ProgramSpec.model_fields
    assert {name: value for name, value in given.items() if name != "opts"} == {
        name: fields[name].default for name in given if name != "opts"
    }
    assert {name for name, field in fields.items() if not field.is_required()} - {"custom_timeouts"} == set(given) - {
        "opts"
    }


def test_the_type_and_the_module_are_the_ones_in_people_s_states() -> None:
    assert ModelDeployment._resource_type_name == "dynamic/koreai:ModelDeployment"
    assert provider.ModelDeploymentProvider.__module__ == "pulumi_koreai.provider"
    assert resource.ModelDeployment is ModelDeployment


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), module


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_file_is_longer_than_450_lines() -> None:
    counts = {path.relative_to(ROOT).as_posix(): lines(path) for path in python_files("provider", "tools")}
    assert {file: count for file, count in counts.items() if count > 450} == {}


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


# What two modules of the package may both define, and why.
SHARED_NAMES = {
    "HyperParameters": "what a program declares, as a typed dict, and the model behind it",
    "OptimizationInfo": "likewise",
    "ScalingParameters": "likewise",
    "ModelDeployment": "the resource, of Pulumi and of Terraform",
    "main": "a program",
    "command": "a command of `koreai`, which its module is named after",
}


def test_a_public_name_is_defined_once() -> None:
    where: dict[str, list[str]] = {}
    for module in MODULES:
        for node in ast.parse((PACKAGE / module).read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(module)
    twice = {name: modules for name, modules in where.items() if len(modules) > 1}
    assert set(twice) == set(SHARED_NAMES), twice
