#pragma once

#include <ATen/core/Tensor.h>

namespace mixln::worker::trainer::model {

// Rows of the fp32 table [vocab, hidden] for int64 tokens [rows]: fp32 [rows, hidden].
at::Tensor Embed(const at::Tensor& table, const at::Tensor& tokens);

// gradient[token] += dx of each row, in the order of the rows, whatever the number of threads.
void EmbedBackward(const at::Tensor& dx, const at::Tensor& tokens, const at::Tensor& gradient);

}  // namespace mixln::worker::trainer::model
