"""A stack goes from the oldest engine that is allowed to the newest that is tested, and back."""

import pytest

import engine as engine_tool
from tests.system.engine.workspace import Workspace, model, warmer

pytestmark = pytest.mark.nightly


def use(workspace: Workspace, pin: engine_tool.Pin) -> None:
    """From now on this engine runs the commands, with the stock host that comes with it."""
    engine = engine_tool.obtain(exactly=pin)
    assert engine.folder is not None
    workspace.env = engine_tool.environment(engine, workspace.env)
    workspace.stock_folder = engine.folder
    workspace.use(workspace.host)
    assert workspace.pulumi("version").output == f"v{pin.version}\n"


def test_a_stack_made_with_the_oldest_engine_is_taken_over_by_the_newest(workspace: Workspace) -> None:
    use(workspace, engine_tool.OLDEST)
    workspace.declare(one=model(1), two=model(2))
    workspace.up()
    assert set(workspace.sent()) == {"deploy cm-1", "deploy cm-2", "wait deploy cm-1", "wait deploy cm-2"}

    use(workspace, engine_tool.NEWEST)
    assert "unchanged" in workspace.preview("--expect-no-changes")
    assert workspace.sent() == []
    workspace.declare(one=warmer(1), two=model(2))
    workspace.up()
    assert workspace.sent() == ["undeploy cm-1", "wait undeploy cm-1", "deploy cm-1", "wait deploy cm-1"]

    # Somebody of the team has not upgraded yet: the engine understands what the newer one wrote.
    use(workspace, engine_tool.OLDEST)
    assert "unchanged" in workspace.preview("--expect-no-changes")
    assert workspace.sent() == []

    use(workspace, engine_tool.NEWEST)
    workspace.destroy()
    assert not workspace.state().get("resources")
    assert all(workspace.emulator.model(model_id).deployment is None for model_id in ("cm-1", "cm-2"))
