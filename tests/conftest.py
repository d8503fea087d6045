"""What all tests share: `tests/` on the path, quiet and offline transformers on one thread; models, runs made once."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reference import Reference
    from tools import Tool

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of commands are started: each would compile its modules anew


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a LLaMA of a hundred thousand random weights (tests/tiny_model.py)."""
    from tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def taught_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model after a few seconds of training: its answers are programs, some of them right."""
    from tiny_model import teach

    return teach(tiny_model, tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="session")
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Callable[[Tool], Reference]":
    """The run of a command that nobody disturbed (tests/reference.py), made when first asked for."""
    from reference import Reference

    made: dict[str, Reference] = {}

    def get(tool: "Tool") -> Reference:
        if tool.name not in made:
            model = request.getfixturevalue("taught_model" if tool.taught else "tiny_model")
            made[tool.name] = Reference(tool, model, tmp_path_factory.mktemp(tool.name))
        return made[tool.name]

    return get


ORDER = ("test_imports", "test_quality", "core", "dedup", "eval", "curate", "sandbox", "rollout", "finetune", "learn")
"""Quick and telling first; what is not named comes after."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by `ORDER`; within a file the order stays."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        part = item.path.relative_to(here).parts[0].removesuffix(".py")
        return ORDER.index(part) if part in ORDER else len(ORDER)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def started_cluster():
    """A head without CPUs, to which nodes are added, each a raylet of its own; and all their processes."""
    from dc_tools.core.cluster import prepare_for_ray

    prepare_for_ray("there")
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    )
    processes = [info.process for each in made.head_node.all_processes.values() for info in each]
    yield made, processes
    made.shutdown()
    for process in processes:
        process.wait(10)  # Ray leaves them unwaited for


@pytest.fixture
def cluster(started_cluster):
    """It with three nodes of one CPU; a test may kill some."""
    made, processes = started_cluster
    while len(made.worker_nodes) < 3:
        node = made.add_node(num_cpus=1, wait=False)
        processes += [info.process for each in node.all_processes.values() for info in each]
    made.wait_for_nodes()
    return made
