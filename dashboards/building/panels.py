"""Panels as grafana-foundation-sdk writes them: what is each kind's own, and what all share."""

from string import ascii_uppercase

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, statushistory, table, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat

from dashboards.building.board import Panel, Query, Steps

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
DOTS = 150
"""The most points in time that a heat map has room for."""
Property = models.DynamicConfigValue
Override = models.DashboardFieldConfigSourceOverrides


def built(panel: Panel) -> models.Panel:
    """Return the panel, without its place, number and links."""
    made = _KINDS[panel.kind](panel)
    made.title, made.description, made.datasource = panel.title, panel.description, SOURCE
    made.targets = [_target(panel, place, query) for place, query in enumerate(panel.queries)]
    defaults = made.field_config.defaults
    defaults.unit, defaults.thresholds = panel.unit, _thresholds(panel.steps)
    defaults.color = models.FieldColor(mode=_coloured_by(panel))
    defaults.min_val, defaults.max_val = (0, panel.most) if panel.most is not None else (None, None)
    defaults.no_value = "none"
    if panel.texts:
        texts = {str(i): models.ValueMappingResult(text=text, index=i) for i, text in enumerate(panel.texts)}
        defaults.mappings = [models.ValueMap(options=texts)]
    made.field_config.defaults = defaults
    return made


def _target(panel: Panel, place: int, query: Query) -> Dataquery:
    instant = panel.kind in {"number", "table", "bars"}
    tabular = panel.kind == "table"
    return Dataquery(
        expr=query.expr,
        instant=instant,
        range_val=not instant,
        format_val=PromQueryFormat.TABLE if tabular else PromQueryFormat.TIME_SERIES,
        legend_format=None if tabular else query.name,
        ref_id=ascii_uppercase[place],
        datasource=SOURCE,
    )


def _thresholds(steps: Steps) -> models.ThresholdsConfig:
    found = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return models.ThresholdsConfig(mode=models.ThresholdsMode.ABSOLUTE, steps=found)


def _coloured_by(panel: Panel) -> models.FieldColorModeId:
    if panel.kind == "lines":
        return models.FieldColorModeId.PALETTE_CLASSIC
    return models.FieldColorModeId.THRESHOLDS


def _lines(panel: Panel) -> models.Panel:
    legend = VizLegendOptions().show_legend(show_legend=True)
    legend = legend.display_mode(styles.LegendDisplayMode.LIST).placement(styles.LegendPlacement.BOTTOM)
    tooltip = VizTooltipOptions().mode(styles.TooltipDisplayMode.MULTI).sort(styles.SortOrder.DESCENDING)
    made = timeseries.Panel().legend(legend).tooltip(tooltip).line_width(1)
    made = made.fill_opacity(25 if panel.stacked else 0).show_points(styles.VisibilityMode.AUTO)
    if panel.stacked:
        made = made.stacking(StackingConfig().mode(styles.StackingMode.NORMAL).group("A"))
    if len(panel.steps) > 1:
        dashed = GraphThresholdsStyleConfig().mode(styles.GraphTresholdsStyleMode.DASHED)
        made = made.thresholds_style(dashed)
    return made.build()


def _number(_: Panel) -> models.Panel:
    made = stat.Panel().reduce_options(_last()).color_mode(styles.BigValueColorMode.VALUE)
    return made.graph_mode(styles.BigValueGraphMode.NONE).build()


def _bars(_: Panel) -> models.Panel:
    made = bargauge.Panel().reduce_options(_last()).orientation(styles.VizOrientation.HORIZONTAL)
    return made.display_mode(styles.BarGaugeDisplayMode.BASIC).show_unfilled(show_unfilled=True).build()


def _last() -> ReduceDataOptions:
    return ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def _states(_: Panel) -> models.Panel:
    made = statetimeline.Panel().merge_values(merge_values=True).show_value(styles.VisibilityMode.NEVER)
    return made.fill_opacity(80).row_height(0.85).legend(_no_legend()).build()


def _heat(_: Panel) -> models.Panel:
    made = statushistory.Panel().show_value(styles.VisibilityMode.NEVER).fill_opacity(80).row_height(0.9)
    return made.max_data_points(DOTS).legend(_no_legend()).build()


def _no_legend() -> VizLegendOptions:
    return VizLegendOptions().show_legend(show_legend=False)


def _table(panel: Panel) -> models.Panel:
    made = table.Panel().show_header(show_header=True).cell_height(styles.TableCellHeight.SM)
    if panel.sort:
        made = made.sort_by(
            [TableSortByFieldState().display_name(name).desc(desc=True) for name in panel.sort]
        )
    found = made.build()
    found.transformations = _matrix(panel) if panel.matrix else _merged(panel)
    found.field_config.overrides = [*_columns(panel), *_clicks(panel)]
    return found


def _merged(panel: Panel) -> list[models.DataTransformerConfig]:
    """Return what makes one row of the queries' values that have the same labels."""
    single = len(panel.queries) == 1
    titles = {
        "Value" if single else f"Value #{ref}": q.name
        for ref, q in zip(ascii_uppercase, panel.queries, strict=False)
    }
    hidden = {"Time", *(raw for raw, title in titles.items() if title in panel.hidden)}
    tidy = {"excludeByName": dict.fromkeys(sorted(hidden), True), "renameByName": titles, "indexByName": {}}
    return [
        models.DataTransformerConfig(id_val="merge", options={}),
        models.DataTransformerConfig(id_val="organize", options=tidy),
    ]


def _matrix(panel: Panel) -> list[models.DataTransformerConfig]:
    row, column = panel.matrix or ("", "")
    options = {"rowField": row, "columnField": column, "valueField": "Value"}
    return [models.DataTransformerConfig(id_val="groupingToMatrix", options=options)]


def _columns(panel: Panel) -> list[Override]:
    """Return each column's own unit, and the colour of its numbers where it has thresholds."""
    found: list[Override] = []
    for query in panel.queries:
        properties = [Property(id_val="unit", value=query.unit)] if query.unit else []
        if query.steps:
            cell = {"type": "color-text"}
            properties += [
                Property(id_val="thresholds", value=_thresholds(query.steps)),
                Property(id_val="custom.cellOptions", value=cell),
            ]
        if properties:
            found.append(Override(matcher=_named(query.name), properties=properties))
    return found


def _clicks(panel: Panel) -> list[Override]:
    return [
        Override(
            matcher=_named(column),
            properties=[Property(id_val="links", value=[{"title": "Open ${__value.text}", "url": url}])],
        )
        for column, url in panel.links
    ]


def _named(column: str) -> models.MatcherConfig:
    return models.MatcherConfig(id_val="byName", options=column)


_KINDS = {
    "lines": _lines,
    "number": _number,
    "table": _table,
    "bars": _bars,
    "states": _states,
    "heat": _heat,
}
