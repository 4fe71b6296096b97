// Tells a run that is lost from one that only trains badly. The one place where a run is declared diverged.
#pragma once

#include <cstdint>
#include <string>

namespace mixln::worker::trainer::loop {

// Why the run has diverged, as of update `step` (from 1) with this loss (nats a token) and gradient norm;
// empty: it has not. Pure: a resumed run judges as an uninterrupted one.
std::string Divergence(int64_t step, double loss, double gradient_norm);

// The same of an evaluation after `step` updates: the last update's weights have no training loss yet.
std::string EvaluationDivergence(int64_t step, double loss);

}  // namespace mixln::worker::trainer::loop
