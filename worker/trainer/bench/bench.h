// How fast a model trains here: `mixln-trainer bench`. No data, no checkpoints, no coordinator: random
// tokens; diagnostics and events only where they are asked for.
#pragma once

#include <array>
#include <cstdint>
#include <istream>
#include <ostream>
#include <string>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/device/device.h"
#include "worker/trainer/diagnostics/phase.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::bench {

struct Work {
  engine::EngineOptions engine;
  int64_t rows = 8;       // of a step, over all ranks
  int64_t time = 256;     // tokens of a row
  int threads = 0;        // 0: as many as there are cores
  int measure_every = 0;  // steps between measurements of the layers, as a trial makes them; 0: none
  std::string events;     // file to append each step's event to, as a trial does; empty: none
  const device::Device* device = &cpu::Cpu();
};

struct Report {
  double tokens_per_second = 0;
  double step_seconds = 0;     // the median
  double fastest_seconds = 0;  // of a step
  double slowest_seconds = 0;
  double built_seconds = 0;       // from the engine's construction to the beginning of the first step
  double first_step_seconds = 0;  // and to its end
  double model_flops_utilization = 0;
  int64_t parameters = 0;
  int64_t peak_bytes = 0;  // of the process, of memory that ranks share its part; on GPUs of the GPU
  std::array<double, diagnostics::kPhases> phase_seconds{};  // of a step, in the mean
};

// Trains for `steps` steps behind a few that warm up.
Report Measure(const Work& work, int steps, fsdp::Collectives* ranks);

// For people, and for programs: one line of JSON.
void Print(const Work& work, const Report& report, std::ostream& out);
void PrintJson(const Work& work, const Report& report, std::ostream& out);

// Takes turns with others: says "built" when the engine is there and "ready" after the first step, then for
// each number of steps read, trains so many and says how many seconds that took; at the end of the input one
// line of JSON.
void Serve(const Work& work, fsdp::Collectives* ranks, std::istream& in, std::ostream& out);

}  // namespace mixln::worker::trainer::bench
