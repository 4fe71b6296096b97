// mixln-trainer: one rank of a trial, the export of a checkpoint, or a measurement.
#include <cstdio>
#include <cstring>
#include <string>

#include "base/version/version.h"
#include "services/trainer/bench_command.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/huggingface/export_model.h"
#include "worker/trainer/loop/run.h"
#include "worker/trainer/memory/caching_allocator.h"

namespace {

using mixln::worker::trainer::error::ExitCode;

int Usage() {
  std::fprintf(stderr,
               "usage: mixln-trainer TRIAL.json\n"
               "       mixln-trainer export [--dtype fp32|bf16] CHECKPOINT FOLDER\n"
               "       mixln-trainer bench [--preset llama-71m] [--help]\n"
               "The first trains what the file says; events.jsonl and control appear in the current folder.\n"
               "The second turns a checkpoint's folder into one that transformers loads.\n"
               "The third says how fast a model trains on this machine, and where the time goes.\n");
  return ExitCode::kBadConfig;
}

int Export(int argc, char** argv) {
  mixln::worker::trainer::huggingface::ExportOptions options;
  int at = 2;
  if (argc == 6 && std::strcmp(argv[at], "--dtype") == 0) {
    const std::string dtype = argv[at + 1];
    if (dtype != "fp32" && dtype != "bf16") return Usage();
    options.bf16 = dtype == "bf16";
    at += 2;
  }
  if (argc != at + 2 || argv[at][0] == '-') return Usage();
  options.checkpoint = argv[at];
  options.to = argv[at + 1];
  try {
    std::printf("%s\n", mixln::worker::trainer::huggingface::ExportModel(options).c_str());
    return ExitCode::kFinished;
  } catch (const std::exception& problem) {
    const std::string text = problem.what();
    std::fprintf(stderr, "%s\n", text.substr(0, text.find('\n')).c_str());
    return mixln::worker::trainer::loop::EndingOf(problem).exit_code;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("mixln-trainer %s\n", mixln::base::version::kVersion.data());
    return 0;
  }
  mixln::worker::trainer::memory::UseCachingAllocator();
  if (argc > 1 && std::strcmp(argv[1], "export") == 0) return Export(argc, argv);
  if (argc > 1 && std::strcmp(argv[1], "bench") == 0) return mixln::services::trainer::RunBench(argc, argv);
  if (argc != 2 || argv[1][0] == '-') return Usage();
  return mixln::worker::trainer::loop::RunTrainer(argv[1]);
}
