"""The dashboards as code: `python -m dashboards.building` writes the JSON beside it. Not in the wheel."""
