// One rank's file of a checkpoint: its tensors in the safetensors format.
#pragma once

#include <string>
#include <vector>

#include "worker/trainer/checkpoint/manifest.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/file/patient_write.h"

namespace mixln::worker::trainer::checkpoint {

// A range of a tensor's elements, under the tensor's name in the file: fp32 [elements], contiguous, on the
// CPU.
struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;  // of the whole tensor
  int64_t begin = 0;           // its first element
  at::Tensor elements;
};

// All masters and moments under their names in a file: views, no copies.
std::vector<NamedTensor> Flatten(const std::vector<engine::NamedState>& states);

// "rank-00003.safetensors".
std::string TensorFileName(int rank);

// Writes `folder/file` and fsyncs it; durable once the folder is synced too. A crash leaves no half-written
// file under that name. Throws error::InputOutputError; waits while the disk is full.
FileEntry WriteTensorFile(const std::string& folder, const std::string& file,
                          const std::vector<NamedTensor>& tensors, const file::WriteOptions& options);

// Verifies the file's size and checksums and calls `take(entry, elements)` for each range in it; `elements`
// is valid during the call. Throws error::InputOutputError that names the file and, where the bytes of one
// are wrong or no finite numbers, the tensor.
void ReadTensorFile(const std::string& folder, const FileEntry& entry,
                    const std::function<void(const TensorEntry&, const float*)>& take);

}  // namespace mixln::worker::trainer::checkpoint
