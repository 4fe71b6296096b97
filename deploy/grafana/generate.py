#!/usr/bin/env python3
"""Builds the dashboards with Grafana's own schema (release 10.1, which later ones read).

usage: .venv/bin/python deploy/grafana/generate.py [--check]
Writes deploy/grafana/dashboards/*.json; with --check it only says whether they are what it would write.
"""
import json
import pathlib
import sys

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries, xychart
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = pathlib.Path(__file__).parent / "dashboards"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
OF_SWEEP = '{sweep=~"$sweep",alpha=~"$alpha",placement=~"$placement"}'
OF_TRIAL = '{sweep=~"$sweep",trial=~"$trial"}'


def query(expr, legend, instant=False):
    """One query; `{{label}}` in the legend names the labels that its result must have."""
    built = prometheus.Dataquery().datasource(SOURCE).expr(expr).legend_format(legend)
    return built.instant().format(PromQueryFormat.TABLE) if instant else built.range()


def lines(title, description, unit, *queries, width=12, logarithmic=False):
    """Curves over time."""
    panel = (timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
             .span(width).height(8).fill_opacity(0).line_width(1.5)
             .show_points(common_model.VisibilityMode.NEVER)
             .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
                      .sort(common_model.SortOrder.DESCENDING)))
    if logarithmic:
        panel.scale_distribution(common.ScaleDistributionConfig().type(common_model.ScaleDistribution.LOG).log(10))
    for letter, (expr, legend) in zip("ABCDEF", queries):
        panel.with_target(query(expr, legend).ref_id(letter))
    return panel


def number(title, description, unit, expr, legend="", width=4):
    """One number, or one a label."""
    return (stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit).span(width).height(4)
            .with_target(query(expr, legend).ref_id("A")))


def rows(title, description, unit, expr, legend, width=12):
    """The present values as a table, one row a series."""
    return (table.Panel().title(title).description(description).datasource(SOURCE).unit(unit).span(width).height(8)
            .with_target(query(expr, legend, instant=True).ref_id("A")))


def against_alpha(title, description, expr):
    """Alpha across, the value up: a label becomes a number, a series a point."""
    panel = (xychart.Panel().title(title).description(description).datasource(SOURCE).unit("short").span(12).height(8)
             .with_target(query(expr, "{{alpha}}", instant=True).ref_id("A")))
    panel.with_transformation(model.DataTransformerConfig(
        id_val="convertFieldType", options={"conversions": [{"targetField": "alpha", "destinationType": "number"}]}))
    panel.with_transformation(model.DataTransformerConfig(
        id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": {"alpha": 0, "Value": 1},
                                    "renameByName": {"Value": "perplexity"}}))
    panel.with_transformation(model.DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": "alpha"}]}))
    return panel


def choice(name, label, of, description, everything=True):
    """A template variable with the values of a label."""
    built = (dashboard.QueryVariable(name).label(label).description(description).datasource(SOURCE)
             .query(f"label_values({of}, {name})").refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
             .sort(model.VariableSort.NUMERICAL_ASC))
    return built.multi(True).include_all(True).all_value(".*") if everything else built


def board(uid, title, description):
    """An empty dashboard with links to the others and a mark where an attempt begins anew."""
    built = (dashboard.Dashboard(title).uid(uid).description(description).tags(["mixln"]).refresh("10s")
             .time("now-3h", "now").tooltip(model.DashboardCursorSync.CROSSHAIR).readonly()
             .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Prometheus")))
    return built.link(dashboard.DashboardLink("MixLN").type(model.DashboardLinkType.DASHBOARDS).tags(["mixln"])
                      .as_dropdown(False).include_vars(True).keep_time(True))


def restarts(selector):
    """An annotation where a trial's attempt number has risen."""
    return (dashboard.AnnotationQuery().name("Attempts").enable(True).icon_color("orange").datasource(SOURCE)
            .expr(f"changes(mixln:attempt:max{selector}[1m]) > 0"))


def sweep():
    built = board("mixln-sweep", "MixLN / sweep", "Perplexity and gradient norms of every alpha of a sweep.")
    built.with_variable(choice("sweep", "Sweep", "mixln_step", "the sweep's name", everything=False))
    built.with_variable(choice("placement", "Placement", 'mixln_step{sweep=~"$sweep"}', "where norms sit"))
    built.with_variable(choice("alpha", "Alpha", 'mixln_step{sweep=~"$sweep"}', "share of Post-LN layers"))
    built.annotation(restarts('{sweep=~"$sweep"}'))
    by_alpha = "by (placement, alpha)"
    for panel in (
        lines("Perplexity by alpha", "Of the last evaluation, the mean over seeds.", "short",
              (f"avg {by_alpha} (mixln_perplexity{OF_SWEEP})", "{{placement}} {{alpha}}"), logarithmic=True),
        against_alpha("Alpha against perplexity", "The last evaluation's, the mean over seeds. Lower is better.",
                      'avg by (alpha) (mixln_perplexity{sweep=~"$sweep",placement=~"$placement",alpha!=""})'),
        lines("Gradient norm by alpha and layer", "L2 norm of each layer's gradient before clipping, the mean over seeds; the first layer is 0.",
              "short", (f"avg by (placement, alpha, layer) (mixln_layer_gradient_norm{OF_SWEEP})", "{{placement}} {{alpha}} layer {{layer}}"),
              logarithmic=True),
        lines("Gradient norm by alpha", "Global L2 norm before clipping, the mean over seeds.", "short",
              (f"avg {by_alpha} (mixln_gradient_norm{OF_SWEEP})", "{{placement}} {{alpha}}"), logarithmic=True),
        lines("Training loss", "Of the last step, the mean over seeds, in nats a token.", "short",
              (f"avg {by_alpha} (mixln_loss{OF_SWEEP})", "{{placement}} {{alpha}}")),
        lines("Activation variance by alpha and layer", "Variance of each layer's output over its channels, the mean over seeds.", "short",
              (f"avg by (placement, alpha, layer) (mixln_layer_activation_variance{OF_SWEEP})", "{{placement}} {{alpha}} layer {{layer}}"),
              logarithmic=True),
        lines("Update to weight by alpha and layer", "L2 norm of each layer's last measured update over that of its parameters, the mean over seeds. A rule of thumb is 0.001.",
              "short", (f"avg by (placement, alpha, layer) (mixln_layer_update_ratio{OF_SWEEP})", "{{placement}} {{alpha}} layer {{layer}}"),
              logarithmic=True),
        lines("Throughput by alpha", "Tokens a second, summed over trials that run.", "short",
              (f"sum {by_alpha} (mixln_tokens_per_second{OF_SWEEP})", "{{placement}} {{alpha}}")),
        rows("Trials", "The last step of every trial that runs or ended in the last five minutes.", "short",
             f"mixln_step{OF_SWEEP}", "{{trial}} {{placement}} {{alpha}} {{seed}}"),
    ):
        built.with_panel(panel)
    return built


def trial():
    built = board("mixln-trial", "MixLN / trial", "Everything that one trial says while it trains.")
    built.with_variable(choice("sweep", "Sweep", "mixln_step", "the sweep's name", everything=False))
    built.with_variable(choice("trial", "Trial", 'mixln_step{sweep=~"$sweep"}', "the trial's name", everything=False))
    built.annotation(restarts(OF_TRIAL))
    for panel in (
        number("Step", "Updates done.", "short", f"mixln_step{OF_TRIAL}", "{{trial}}"),
        number("Attempt", "Number of the attempt that trains; it grows with each restart.", "short", f"mixln:attempt:max{OF_TRIAL}", "{{trial}}"),
        number("Tokens", "Tokens trained on since step 0.", "short", f"mixln_tokens_total{OF_TRIAL}", "{{trial}}"),
        number("Perplexity", "Of the last evaluation.", "short", f"mixln_perplexity{OF_TRIAL}", "{{trial}}"),
        number("Throughput", "Tokens a second of the last step.", "short", f"mixln_tokens_per_second{OF_TRIAL}", "{{trial}}"),
        number("Utilization", "Model FLOPs over what a large product reaches here.", "percentunit",
               f"mixln_model_flops_utilization{OF_TRIAL}", "{{trial}}"),
        lines("Loss", "Training loss of the last step and loss of the last evaluation, in nats a token.", "short",
              (f"mixln_loss{OF_TRIAL}", "training {{trial}}"), (f"mixln_eval_loss{OF_TRIAL}", "evaluation {{trial}}")),
        lines("Gradient norm", "Global L2 norm before clipping.", "short", (f"mixln_gradient_norm{OF_TRIAL}", "{{trial}}"), logarithmic=True),
        lines("Gradient norm by layer", "L2 norm of each layer's gradient before clipping; the first layer is 0.", "short",
              (f"mixln_layer_gradient_norm{OF_TRIAL}", "layer {{layer}}"), logarithmic=True),
        lines("Activation variance by layer", "Variance of each layer's output over its channels.", "short",
              (f"mixln_layer_activation_variance{OF_TRIAL}", "layer {{layer}}"), logarithmic=True),
        lines("Update to weight by layer", "L2 norm of each layer's last measured update over that of its parameters. A rule of thumb is 0.001.", "short",
              (f"mixln_layer_update_ratio{OF_TRIAL}", "layer {{layer}}"), logarithmic=True),
        lines("Learning rate", "Of the last step.", "sci", (f"mixln_learning_rate{OF_TRIAL}", "{{trial}}")),
        lines("Throughput over time", "Tokens a second of the last step.", "short", (f"mixln_tokens_per_second{OF_TRIAL}", "{{trial}}")),
    ):
        built.with_panel(panel)
    return built


def fleet():
    built = board("mixln-fleet", "MixLN / fleet", "Workers, slots, the queue and the coordinator's own health.")
    for panel in (
        number("Workers connected", "Workers that the coordinator has welcomed.", "short", "sum(mixln_worker_connected)"),
        number("Slots", "Slots by state.", "short", "mixln_slots", "{{state}}", width=8),
        number("Throughput", "Tokens a second of all trials.", "short", "mixln:tokens_per_second:sum"),
        number("Lease expiries", "Workers lost in the last hour.", "short", "sum(increase(mixln_lease_expiries_total[1h]))"),
        number("Releases", "Releases that run: more than one in an upgrade only.", "short", "count by (version) (mixln_build_info)", "{{version}}"),
        lines("Trials by state", "All trials that the coordinator keeps.", "short", ("sum by (state) (mixln_trials)", "{{state}}")),
        lines("Slots of workers", "Busy and free slots as each worker counts them.", "short",
              ("sum by (instance, state) (mixln_worker_slots)", "{{instance}} {{state}}")),
        lines("Failed attempts", "Attempts that failed in five minutes, by cause.", "short",
              ("sum by (cause) (increase(mixln_attempt_failures_total[5m]))", "{{cause}}")),
        lines("Time in the queue", "How long 9 of 10 trials waited for slots, at most.", "s",
              ("histogram_quantile(0.9, sum by (le) (mixln_queue_wait_seconds_bucket))", "0.9")),
        lines("Decision latency", "From an event's arrival to its answer, commit included; 99 of 100 are below.", "s",
              ("mixln:decision_latency_seconds:p99", "0.99")),
        lines("Commits", "Mean time of a commit by database.", "s",
              ("sum by (database) (rate(mixln_commit_seconds_sum[5m])) / sum by (database) (rate(mixln_commit_seconds_count[5m]))",
               "{{database}}")),
        lines("Calls", "Calls a second by method and code.", "reqps",
              ("sum by (method, code) (rate(mixln_grpc_server_handled_total[5m]))", "{{method}} {{code}}")),
        lines("Free disk", "Share of each folder's file system that is free.", "percentunit",
              ("mixln_disk_free_bytes / mixln_disk_size_bytes", "{{instance}} {{folder}}")),
    ):
        built.with_panel(panel)
    return built


def main():
    FOLDER.mkdir(exist_ok=True)
    differ = []
    for name, built in (("sweep", sweep()), ("trial", trial()), ("fleet", fleet())):
        text = json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(built.build())), indent=1, sort_keys=True) + "\n"
        path = FOLDER / f"{name}.json"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            differ.append(path.name)
    if differ:
        sys.exit(f"{', '.join(differ)}: not what deploy/grafana/generate.py builds; run it")


if __name__ == "__main__":
    main()
