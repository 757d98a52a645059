"""Terraform's calls, where tf's own answers leave something out. The rest is tf's `ProviderServicer`, inherited."""

import json
from typing import Any

from tf.gen import tfplugin_pb2 as pb  # type: ignore[import-untyped] # it has no types, here and below
from tf.iface import UpgradeContext  # type: ignore[import-untyped]
from tf.provider import ProviderServicer  # type: ignore[import-untyped]
from tf.utils import (  # type: ignore[import-untyped]
    Diagnostics,
    _to_attribute_path,
    read_dynamic_value,
    to_dynamic_value,
)

from .schema import ATTRIBUTES, Exact, Values, decoded, encoded


class Servicer(ProviderServicer):  # type: ignore[misc]
    """tf 1.2 asks a resource to plan only updates, without the configuration, and knows no private data."""

    def GetProviderSchema(self, request: Any, context: Any) -> Any:  # noqa: N802 - names of the protocol, here and below
        """Tf says in `GetMetadata` alone that it plans deletions; Terraform reads it here."""
        response = super().GetProviderSchema(request, context)
        response.server_capabilities.plan_destroy = True
        return response

    def PlanResourceChange(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Ask the resource about creations and deletions too, with the configuration."""
        diagnostics = Diagnostics()
        planned = self._resource(request).plan(
            diagnostics,
            _read(request.prior_state),
            _read(request.proposed_new_state),
            _read(request.config) or {},
            request.prior_private,
        )
        return pb.PlanResourceChange.Response(
            planned_state=_written(planned.values),
            planned_private=planned.private,
            requires_replace=[_to_attribute_path([name]) for name in planned.replaces],
            diagnostics=diagnostics.to_pb(),
        )

    def ApplyResourceChange(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Hand the planned private data on."""
        diagnostics = Diagnostics()
        state = self._resource(request).apply(
            diagnostics, _read(request.prior_state), _read(request.planned_state), request.planned_private
        )
        return pb.ApplyResourceChange.Response(new_state=_written(state), diagnostics=diagnostics.to_pb())

    def UpgradeResourceState(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Of the present version too: tf hands its floats on as they are, and 0.7 comes back as 0.69999999999999996."""
        diagnostics = Diagnostics()
        old = json.loads(request.raw_state.json, parse_float=Exact)
        state = self._resource(request).upgrade(UpgradeContext(diagnostics, request.type_name), request.version, old)
        return pb.UpgradeResourceState.Response(upgraded_state=_written(state), diagnostics=diagnostics.to_pb())

    def StopProvider(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """End the waits, so that the calls under way answer with what they know."""
        self.app.process.stop()
        return pb.StopProvider.Response()

    def _resource(self, request: Any) -> Any:
        return self.app.new_resource(self._get_res_cls(request.type_name))


def _read(value: Any) -> Values | None:
    values = read_dynamic_value(value)
    return None if values is None else decoded(ATTRIBUTES, values)


def _written(values: Values | None) -> Any:
    return to_dynamic_value(None if values is None else encoded(ATTRIBUTES, values))
