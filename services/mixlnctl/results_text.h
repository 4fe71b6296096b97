// The comparison of a sweep's cells as a table and a plot.
#pragma once

#include "absl/status/statusor.h"
#include "mixln/v1/sweep.pb.h"
#include "services/mixlnctl/client.h"
#include "services/mixlnctl/io.h"
#include "services/mixlnctl/output.h"

namespace mixln::services::mixlnctl {

// Prints the results, best first, the best marked with a star, and below them the perplexity that word
// frequencies alone reach; on a terminal also a plot of perplexity over alpha where alpha is all that was
// swept besides the seed.
absl::Status PrintResults(Io& io, OutputFormat format, const v1::Results& results);

// Fetches and prints.
absl::Status ShowResults(Io& io, Client& client, OutputFormat format, const std::string& sweep_id);

}  // namespace mixln::services::mixlnctl
