// mixln-prepare: text in, token shards out. The agent calls it with a request, people with --source.
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"
#include "base/version/version.h"
#include "services/prepare/reporter.h"
#include "worker/tokenize/prepare_dataset.h"
#include "worker/tokenize/request.h"

namespace mixln::services::prepare {
namespace {

struct Flags {
  std::string request_file;
  std::string cache;
  std::string split = "paragraph";
  std::vector<std::filesystem::path> data_roots;
  int threads = 0;
  worker::tokenize::Request request;
};

absl::StatusOr<worker::tokenize::Request> RequestOf(const Flags& flags) {
  worker::tokenize::Request request = flags.request;
  if (!flags.request_file.empty()) {
    auto text = base::ReadFile(flags.request_file);
    if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
    auto parsed = worker::tokenize::ParseRequest(*text);
    if (!parsed.ok())
      return absl::InvalidArgumentError(
          absl::StrCat(flags.request_file, ": ", std::string(parsed.status().message())));
    return parsed;
  }
  auto split = worker::tokenize::ParseSplit(flags.split);
  if (!split.ok()) return split.status();
  request.split = *split;
  return request;
}

absl::StatusOr<worker::tokenize::Prepared> Run(const Flags& flags, Reporter& reporter) {
  const auto request = RequestOf(flags);
  if (!request.ok()) return request.status();
  worker::tokenize::PrepareOptions options;
  options.cache = std::filesystem::absolute(flags.cache);
  options.data_roots = flags.data_roots;
  // The cores that this process may use: an agent pins what it starts.
  cpu_set_t cores;
  const bool known = sched_getaffinity(0, sizeof cores, &cores) == 0;
  options.threads = flags.threads > 0 ? flags.threads : known ? CPU_COUNT(&cores) : 1;
  options.on_progress = [&](const worker::tokenize::Progress& progress) { reporter.OnProgress(progress); };
  return worker::tokenize::PrepareDataset(*request, options);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Turns text into token shards for mixln-trainer, and prints their folder as JSON.",
               "mixln-prepare");
  app.set_version_flag("--version", std::string("mixln-prepare ") + MIXLN_VERSION);
  auto* request =
      app.add_option("--request", flags.request_file, "a DataSpec as JSON, as the agent writes it");
  app.add_option("--cache", flags.cache, "folder that prepared data is kept in")->required();
  app.add_option(
      "--data-root", flags.data_roots,
      "folder that sources and tokenizers may lie in; several times for several (default: anywhere)");
  app.add_option("--threads", flags.threads, "threads that tokenize (default: all cores)")
      ->check(CLI::Range(1, 1024));
  auto* source = app.add_option("--source", flags.request.source,
                                "files or patterns: text, JSONL, gzip or zstd of either")
                     ->excludes(request);
  auto* vocab = app.add_option("--vocab", flags.request.vocab, "train a tokenizer of so many pieces")
                    ->excludes(request);
  app.add_option("--tokenizer", flags.request.tokenizer_model, "use this SentencePiece model")
      ->excludes(request)
      ->excludes(vocab);
  app.add_option("--split", flags.split, "how text files are cut: file, line or paragraph")
      ->excludes(request)
      ->capture_default_str();
  app.add_option("--validation-fraction", flags.request.validation_fraction, "share of documents held out")
      ->excludes(request)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    if (request->empty() && source->empty()) throw CLI::RequiredError("--request or --source");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 64;
  }
  Reporter reporter(isatty(STDERR_FILENO) != 0);
  try {
    return reporter.Finish(Run(flags, reporter));
  } catch (const std::bad_alloc&) {
    std::fputs("mixln-prepare: memory ran out; use fewer --threads, or cut the text into smaller documents\n",
               stderr);
    return 71;
  }
}

}  // namespace
}  // namespace mixln::services::prepare

int main(int argc, char** argv) {
  return mixln::services::prepare::Main(argc, argv);
}
