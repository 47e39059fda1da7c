"""Trains the network, and logs its predictions on rows it has not seen: driftd's reference."""

import torch
from model import COLUMNS, Minutes
from torch import nn
from traffic import deliveries

from monitor.client import Log


def main() -> None:
    """Write model.pt and reference/."""
    torch.manual_seed(1)
    rows, minutes = deliveries(6000, seed=1)
    inputs = torch.tensor([[row[name] for name in COLUMNS] for row in rows])
    wanted = torch.tensor(minutes)
    model = Minutes()
    model.mean, model.scale = inputs[:3000].mean(0), inputs[:3000].std(0)
    steps = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        steps.zero_grad()
        nn.functional.mse_loss(model(inputs[:3000]), wanted[:3000]).backward()
        steps.step()
    torch.save(model.state_dict(), "model.pt")
    with Log("reference") as log, torch.inference_mode():
        for row, found in zip(rows[3000:], model(inputs[3000:]), strict=True):
            log.prediction(features=row, prediction=found, version="1")


if __name__ == "__main__":
    main()
