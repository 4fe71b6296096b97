// mixln-trainer: one rank of a trial.
#include <cstdio>
#include <cstring>

#include "base/version/version.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/loop/run.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("mixln-trainer %s\n", mixln::base::version::kVersion.data());
    return 0;
  }
  if (argc != 2 || argv[1][0] == '-') {
    std::fprintf(stderr,
                 "usage: mixln-trainer TRIAL.json\n"
                 "Trains what the file says; events.jsonl and control appear in the current folder.\n");
    return mixln::worker::trainer::error::kBadConfig;
  }
  return mixln::worker::trainer::loop::RunTrainer(argv[1]);
}
