"""Write the dashboards into the folder above."""

from pathlib import Path

from dashboards.building.written import files

if __name__ == "__main__":
    for name, text in files().items():
        (Path(__file__).parents[1] / name).write_text(text, encoding="utf-8")
