"""dc-learn with trainers of which the second has little memory: rows of more than MOST tokens are too much for it.

    python scarce.py MOST [ARGUMENT]...
"""

import sys

from dc_tools.core.cluster import prepare_for_ray


def main() -> None:
    """Run it."""
    prepare_for_ray(None)  # before Ray is imported
    import torch

    from dc_tools.learn import driver
    from dc_tools.learn.batches import Row
    from dc_tools.learn.command import main as learn
    from dc_tools.learn.policy import Scorer
    from dc_tools.learn.recipe import Recipe

    most = int(sys.argv[1])

    class ScarceTrainer(driver.TrainerActor):
        def open(self, model: str, recipe: Recipe, device: str, rank: int, world: int, address: str) -> None:
            super().open(model, recipe, device, rank, world, address)
            def scarce(row: Row, temperature: float) -> torch.Tensor:
                if rank == 1 and len(row.ids) > most and torch.is_grad_enabled():
                    raise torch.OutOfMemoryError("CUDA")
                return Scorer.forward(self._trainer.scorer, row, temperature)

            self._trainer.scorer.forward = scarce

    driver.TrainerActor = ScarceTrainer
    learn(sys.argv[2:])


if __name__ == "__main__":
    main()
