#pragma once

namespace mixln::services::trainer {

// `mixln-trainer bench …`: returns the exit code.
int RunBench(int argc, char** argv);

}  // namespace mixln::services::trainer
