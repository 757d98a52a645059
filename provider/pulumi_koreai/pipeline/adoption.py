"""`koreai adopt MODEL_ID…`: entries for models that already run, out of their exports, which the platform is asked for.

An export changes nothing. Its address is a secret, and its content is the platform's: what becomes of it are the
parameters of an entry alone, checked as those of any entry.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.api.errors import KoreaiError
from pulumi_koreai.api.messages import clean
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.base.clock import Clock, SystemClock
from pulumi_koreai.base.progress import Reporter, Silent
from pulumi_koreai.core.export import Exporter
from pulumi_koreai.core.faults import DeclarationFault
from pulumi_koreai.pipeline.project_engine import EngineFailed, ProjectEngine
from pulumi_koreai.pipeline.stack_settings import ConfiguredSettings, OpenClient, open_client
from pulumi_koreai.stackfile.adopt import Entry, Export, as_yaml, entry_of
from pulumi_koreai.stackfile.terms import PULUMI


@dataclass(frozen=True)
class Adoption:
    """A model that is to be adopted.

    Attributes:
        model_id: the model.
        name: the entry's.
        entry: what was made of its export; what is missing in it is None.
        faults: what is missing in it, or wrong.
        export: what was found.
        failure: why there is no entry; None where there is one.
    """

    model_id: str
    name: str = ""
    entry: Entry = field(default_factory=dict)
    faults: Sequence[DeclarationFault] = ()
    export: Export = field(default_factory=Export)
    failure: KoreaiError | None = None

    @property
    def complete(self) -> bool:
        """Whether the entry can stand in a stack's file as it is."""
        return self.failure is None and not self.faults


def adopt(
    settings: Settings,
    model_ids: Sequence[str],
    *,
    name: str | None = None,
    deployment_name: str | None = None,
    model_type: str | None = None,
    reporter: Reporter | None = None,
    client: OpenClient | None = None,
    clock: Clock | None = None,
) -> list[Adoption]:
    """Fetch the exports of models and make an entry of each. One that fails is no reason to give the others up.

    Args:
        settings: the platform and the key.
        model_ids: the models, each once.
        name: the entry's, for one model; made of the deployment's name, or of the model's id, when not given.
        deployment_name: the deployment's, for one model; the one in the export when not given.
        model_type: of all of them; the one in the export when not given.
        reporter: gets the progress.
        client: opens a client; the real one when not given.
        clock: time; the machine's when not given.
    """
    clock = clock or SystemClock()
    opened = open_client(settings, clock, client)
    reporter = reporter or Silent()
    exporter = Exporter(opened.telling(reporter), clock, Random(), reporter)  # noqa: S311 - spreads looks, no secret
    begun = [(model_id, _begun(exporter, model_id)) for model_id in model_ids]
    taken: set[str] = set()
    adoptions: list[Adoption] = []
    for model_id, job in begun:
        if isinstance(job, KoreaiError):
            adoptions.append(Adoption(model_id, failure=job))
            continue
        try:
            export = Export.read(exporter.config(model_id, job))
        except KoreaiError as failure:
            adoptions.append(Adoption(model_id, failure=failure))
            continue
        adopted = adoption_of(export, model_id, name, deployment_name, model_type, taken)
        taken.add(adopted.name)
        adoptions.append(adopted)
    return adoptions


def adoption_of(
    export: Export,
    model_id: str,
    name: str | None = None,
    deployment_name: str | None = None,
    model_type: str | None = None,
    taken: Collection[str] = (),
) -> Adoption:
    """The entry out of an export.

    Args:
        export: what was found.
        model_id: the model.
        name: the entry's; made of the deployment's name, or of the model's id, when not given.
        deployment_name: the one in the export when not given.
        model_type: likewise.
        taken: the names of other entries.
    """
    entry, faults = entry_of(export, model_id, deployment_name, model_type)
    names = _names(name, entry.get("deploymentName"), model_id)
    return Adoption(model_id, next(one for one in names if one not in taken), entry, faults, export)


def settings_for_adoption(engine: ProjectEngine | None, stack: str | None, environment: Mapping[str, str]) -> Settings:
    """The settings: those of a stack, else of the one that is selected, else of the environment alone.

    Args:
        engine: the engine; None where there is none, or no project.
        stack: the stack, where one is named.
        environment: the variables.

    Raises:
        ConfigError: the host or the key is missing or wrong.
        EngineFailed: the stack that is named can't be read.
    """
    if engine is not None and stack is None:
        try:
            stack = engine.selected()
        except EngineFailed:
            stack = None
    if engine is None or stack is None:
        return ConfiguredSettings({}, environment).settings()
    return ConfiguredSettings.of(engine, stack).settings()


def entries_yaml(adoptions: Sequence[Adoption]) -> str:
    """The lines of the entries, ready to be pasted."""
    return "".join(as_yaml(one.name, one.entry) for one in adoptions if one.failure is None)


def adoption_remarks(adoptions: Sequence[Adoption]) -> list[str]:
    """What there is to say of each model: what failed, was left out, or is to be filled in."""
    lines: list[str] = []
    for one in adoptions:
        if one.failure:
            lines.append(PULUMI.error(one.failure))
        else:
            lines += [
                *(
                    f"{one.name}: left out, as it is no parameter of a deployment: {path}"
                    for path in one.export.not_known
                ),
                *(
                    f"{one.name}: left out, as the export has several values for it: {path}"
                    for path in one.export.unclear
                ),
                *(f"{one.name}: to be filled in by hand: {fault}" for fault in one.faults),
            ]
    return lines


def _begun(exporter: Exporter, model_id: str) -> DockJob | KoreaiError:
    try:
        return exporter.begin(model_id)
    except KoreaiError as failure:
        return failure


def _names(name: str | None, deployment_name: object, model_id: str) -> Iterator[str]:
    """What the entry may be called, the best first. The platform appends `_v1`, `_v2`, … to a deployment's name."""
    plain = re.sub(r"_v\d+$", "", clean(deployment_name)) if isinstance(deployment_name, str) else ""
    first = name or re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60] or model_id
    yield first
    yield f"{first}-{model_id}"
    number = 2
    while True:
        yield f"{first}-{number}"
        number += 1
