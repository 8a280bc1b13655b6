"""Tables and the self-contained HTML page of a campaign, made from its folders alone."""

from heterodft.analysis.report.collect import ConfigurationReport, StepReport, collect
from heterodft.analysis.report.drivers import DriverFindings
from heterodft.analysis.report.html import write_report
from heterodft.analysis.report.layer_rows import LayerRow
from heterodft.analysis.report.page_tables import layer_table
from heterodft.analysis.report.tables import compared

__all__ = [
    "ConfigurationReport",
    "DriverFindings",
    "LayerRow",
    "StepReport",
    "collect",
    "compared",
    "layer_table",
    "write_report",
]
