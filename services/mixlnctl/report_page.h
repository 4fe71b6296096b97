// A sweep's answer as one page of HTML: what is best and by how much, every configuration, perplexity over
// alpha, loss curves, gradient norms per layer. Nothing is loaded from elsewhere and nothing runs in it, so
// that it can be kept, sent and read anywhere; light or dark as the reader's system is.
#pragma once

#include <string>
#include <vector>

#include "mixln/v1/sweep.pb.h"
#include "services/mixlnctl/candidates.h"

namespace mixln::services::mixlnctl {

// Curves of one candidate.
struct ReportCurves {
  MeanCurve eval_loss;
  MeanCurve loss;
  std::vector<double> layer_gradient_norms;  // first layer first; means over the second half of training
};

struct Report {
  v1::Sweep sweep;
  v1::Results results;
  std::vector<Candidate> candidates;  // in the order of the results' rows
  std::vector<ReportCurves> curves;   // of the first candidates: as many as a chart has colours for
  std::string made;                   // "2026-01-31 12:00:05 UTC"
};

// What the best row is, and whether the distance to the next is more than its seeds' spread, in sentences.
std::vector<std::string> Findings(const v1::Results& results);

std::string ReportPage(const Report& report);

}  // namespace mixln::services::mixlnctl
