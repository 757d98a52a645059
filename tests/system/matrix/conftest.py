"""The cells that were chosen are all run at once, by the first of pytest's workers that gets to one."""

from collections.abc import Callable, Iterator

import filelock
import pytest
from pydantic import TypeAdapter

from tests.system.matrix.cells import Cells
from tests.system.matrix.operations import Run, Seen

See = Callable[[Run], Seen]
_SEEN = TypeAdapter(list[tuple[Run, Seen]])


@pytest.fixture(scope="session")
def see(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> See:
    """What came of a run."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # that of all workers
    file = folder / "matrix.json"
    with filelock.FileLock(folder / "matrix.lock"):
        if not file.exists():
            with Cells() as cells:
                file.write_bytes(_SEEN.dump_json(list(cells.run(_chosen(request.session)).items())))
    return dict(_SEEN.validate_json(file.read_bytes())).__getitem__


def _chosen(session: pytest.Session) -> Iterator[Run]:
    for item in session.items:
        if isinstance(item, pytest.Function) and "see" in item.fixturenames:
            runs = item.callspec.params["runs"]
            assert isinstance(runs, list)
            yield from runs
