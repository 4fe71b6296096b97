#!/usr/bin/env python3
"""Builds the references from what they describe: docs/api.md from the API's definition, docs/cli.md from the programs' --help, and the
tables of docs/metrics.md from what a coordinator and a worker export after a sweep of the fake trainer.

usage: .venv/bin/python docs/generate.py [--check] FOLDER_OF_THE_PROGRAMS
With --check nothing is written: it says whether the pages are what would be written.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent
FIELD = descriptor_pb2.FieldDescriptorProto
BEGIN = "<!-- generated -->"
END = "<!-- end -->"


def cell(text):
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(header, rows):
    return "\n".join([f"| {' | '.join(header)} |", "|" + "---|" * len(header), *(f"| {' | '.join(row)} |" for row in rows), ""])


def protos():
    """The API's files with their comments."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I", "proto", f"--descriptor_set_out={out.name}", "--include_source_info",
                        *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "proto").rglob("*.proto")))], cwd=ROOT, check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read()).file


def type_of(field):
    if field.type_name:
        name = field.type_name.removeprefix(".mixln.v1.").removeprefix(".")
    else:
        name = FIELD.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.label == FIELD.LABEL_REPEATED else name


def api_page():
    """Every service, message and value, with the comments of its definition."""
    parts = ["# API\n\nThe gRPC API `mixln.v1`, made from [proto/mixln/v1](../proto/mixln/v1) by `docs/generate.py`. Errors are canonical gRPC codes; what is wrong with a\n"
             "request is a `google.rpc.BadRequest` in their details. `grpc.health.v1.Health` and server reflection are served too.\n"]
    for file in protos():
        comments = {tuple(l.path): l.leading_comments for l in file.source_code_info.location}
        about = lambda *path: cell(comments.get(path, ""))

        def message(declared, prefix, *path):
            name = f"{prefix}{declared.name}"
            parts.append(f"### {name}\n{about(*path)}\n")
            if declared.field:
                parts.append(table(["field", "type", ""], [[f"`{f.name}` = {f.number}", f"`{type_of(f)}`", about(*path, 2, i)]
                                                           for i, f in enumerate(declared.field)]))
            for i, inner in enumerate(declared.nested_type):
                message(inner, f"{name}.", *path, 3, i)
            for i, inner in enumerate(declared.enum_type):
                enum(inner, f"{name}.", *path, 4, i)

        def enum(declared, prefix, *path):
            parts.append(f"### {prefix}{declared.name}\n{about(*path)}\n")
            parts.append(table(["value", ""], [[f"`{v.name}` = {v.number}", about(*path, 2, i)] for i, v in enumerate(declared.value)]))

        parts.append(f"## {pathlib.Path(file.name).name}\n{about(2)}\n")  # the comment stands before `package`
        for i, service in enumerate(file.service):
            parts.append(f"### {service.name}\n{about(6, i)}\n")
            stream = lambda streaming, name: f"`{'stream ' if streaming else ''}{name.rsplit('.', 1)[1]}`"
            parts.append(table(["call", "request", "answer", ""],
                               [[f"`{m.name}`", stream(m.client_streaming, m.input_type), stream(m.server_streaming, m.output_type), about(6, i, 2, j)]
                                for j, m in enumerate(service.method)]))
        for i, declared in enumerate(file.message_type):
            message(declared, "", 4, i)
        for i, declared in enumerate(file.enum_type):
            enum(declared, "", 5, i)
    return "\n".join(parts)


def cli_page(programs):
    """Every command's --help, as it prints it in a home folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        def help_of(*words):
            done = subprocess.run([programs / words[0], *words[1:], "--help"], capture_output=True, text=True, check=True,
                                  env={"HOME": "/home/you", "PATH": "/usr/bin:/bin", "TMPDIR": home})
            return done.stdout.replace(str(programs.resolve()), "/usr/bin").replace("/home/you", "~").strip()

        def sections(*words):
            text = help_of(*words)
            found = [f"{'#' * min(len(words) + 1, 3)} {' '.join(words)}\n```\n{text}\n```\n"]
            if words[0] == "mixlnctl":
                known = ["--help", *words[1:]]
                for name in re.findall(r"(?m)^  ([a-z]+)(?:, [a-z]+)*  ", text):
                    if name not in known:
                        found += sections(*words, name)
            return found

        parts = ["# Commands and flags\n\nWhat `--help` of each program prints; made by `docs/generate.py`. [mixlnctl.md](mixlnctl.md) explains and shows.\n"]
        for program in ("mixlnctl", "mixln-coordinator", "mixln-worker", "mixln-prepare"):
            parts += sections(program)
    return "\n".join(parts)


def expositions(programs):
    """/metrics of a coordinator and of a worker, as text, once a trial has ended; over TLS, so that what TLS adds is there."""
    os.environ["MIXLN_BIN"] = str(programs.resolve())
    sys.path.append(str(ROOT / "tests" / "integration"))
    import certs
    import cluster
    with tempfile.TemporaryDirectory() as folder, certs.SecureCluster(certs.Certs(folder)) as running:
        worker = running.start_secure_worker()
        source = running.write("corpus.txt", cluster.corpus_text())
        running.ctl("submit", running.write("s.yaml", cluster.sweep_text("described", source, {"train.seed": [0]})))
        running.ctl("wait", "described")
        return running.metrics(running.coordinator), running.metrics(worker)


def exported(exposition):
    """Families of Prometheus' text format: name → (type, labels, help, series)."""
    families = {}
    for name, text in re.findall(r"(?m)^# HELP (mixln_\S+) (.*)$", exposition):
        [kind] = set(re.findall(rf"(?m)^# TYPE {name} (\w+)$", exposition))
        series = re.findall(rf"(?m)^{name}(?:_bucket|_sum|_count)?(?:\{{(.*)\}})? ", exposition)
        labels = dict.fromkeys(label for block in series for label in re.findall(r'(\w+)="', block) if label != "le")
        families[name] = (kind, list(labels), text, series)
    return families


def metrics_table(families, common=()):
    """Without the labels that all have in common."""
    return table(["series", "type", "further labels" if common else "labels", "what it is"],
                 [[f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels if label not in common), cell(text)]
                  for name, (kind, labels, text, _) in families.items()])


def metrics_page(programs):
    """docs/metrics.md with its tables and its count of series as the daemons have them."""
    coordinator, worker = (exported(text) for text in expositions(programs))
    of_trials = {name: family for name, family in worker.items() if "trial" in family[1]}
    of_worker = {name: family for name, family in worker.items() if name not in of_trials}
    layered = sum("layer" in labels for _, labels, _, _ in of_trials.values())
    plain = len(of_trials) - layered
    called = {name: family for name, family in coordinator.items() if "method" in family[1]}
    a_method = sum('CreateSweep"' in labels for *_, series in called.values() for labels in series)
    own = sum(len(series) for name, (*_, series) in coordinator.items() if name not in called)
    count = (f"A trial has {plain} series and {layered} a layer: {plain + 12 * layered} for 12 layers, {plain + 32 * layered} for 32.\n"
             f"A worker has {sum(len(series) for *_, series in of_worker.values())} of its own, a coordinator {own}, and {a_method} for each method that "
             "was called, one more\nfor each further code of its answers. The web server in both adds a few that begin with `exposer_`.\n")
    page = (DOCS / "metrics.md").read_text()
    for name, block in (("trials", metrics_table(of_trials, ("sweep", "trial", "placement", "alpha", "seed"))), ("worker", metrics_table(of_worker)),
                        ("coordinator", metrics_table(coordinator)), ("count", count)):
        page = with_block(page, name, block)
    return page


def with_block(page, name, block):
    """The page with what stands between the marks of `name` replaced."""
    begin = BEGIN.replace("generated", f"generated: {name}")
    before, rest = page.split(begin + "\n", 1)
    return f"{before}{begin}\n{block}{END}{rest.split(END, 1)[1]}"


def main(arguments):
    check = "--check" in arguments
    [programs] = [pathlib.Path(a) for a in arguments if a != "--check"]
    stale = []
    for name, text in (("api.md", api_page()), ("cli.md", cli_page(programs)), ("metrics.md", metrics_page(programs))):
        text = text.rstrip() + "\n"
        path = DOCS / name
        if path.exists() and path.read_text() == text:
            continue
        if check:
            stale.append(f"docs/{name}")
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"not what the code says: {', '.join(stale)}; run docs/generate.py {programs}")


if __name__ == "__main__":
    main(sys.argv[1:])
