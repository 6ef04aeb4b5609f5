import torch

from tests import numeric
from tests.workers.ranker import golden
from trainer.ranker.bertadam import BertAdam, decay_groups, published_schedule


def test_twenty_steps_are_the_published_ones() -> None:
    stored = golden.arrays("bertadam")
    parameters = {
        name: torch.nn.Parameter(torch.from_numpy(stored[f"in/p_{name}0"])) for name in ("decay", "nodecay")
    }
    groups = [
        {"params": [parameters["decay"]], "weight_decay": 0.01},
        {"params": [parameters["nodecay"]], "weight_decay": 0.0},
    ]
    optimizer = BertAdam(groups, lr=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, published_schedule(20, 0.1))
    for step in range(20):
        assert abs(scheduler.get_last_lr()[0] - stored["out/lr_used_at_step"][step]) < 1e-12
        for name, parameter in parameters.items():
            parameter.grad = torch.from_numpy(stored[f"in/g_{name}_{step}"])
        optimizer.step()
        scheduler.step()
        for name, parameter in parameters.items():
            wanted = stored[f"out/p_{name}_{step}"]
            numeric.close(parameter, wanted)


def test_groups_are_the_published_ones() -> None:
    model = golden.relo()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for found, wanted in zip(decay_groups(model, 0.01), golden.values("bertadam_groups"), strict=True):
        assert sorted(names[id(p)] for p in found["params"]) == sorted(wanted["params"])
        assert found["weight_decay"] == wanted["weight_decay"]


def test_the_schedule_ends_at_zero() -> None:
    factor = published_schedule(100, 0.01)
    assert factor(0) == 0.0
    assert factor(1) == 1.0
    assert factor(100) == 0.0
    assert factor(101) == 0.0
