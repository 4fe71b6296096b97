// The safetensors format (github.com/huggingface/safetensors): a u64 length, so many bytes of JSON that place
// each tensor, then the tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::trainer::huggingface {

// A tensor under its name; contiguous, on the CPU, fp32 or bf16.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Writes `path` and fsyncs it. Throws error::InputOutputError; waits while the disk is full.
void WriteSafetensors(const std::string& path, const std::vector<NamedTensor>& tensors);

// A file's tensor before it is copied.
struct StoredTensor {
  std::string name;
  std::vector<int64_t> shape;
  at::ScalarType type = at::kFloat;  // F32, BF16 or F16
  std::string_view bytes;            // valid as long as the file
};

// A file, mapped for reading.
class SafetensorsFile {
 public:
  // Throws error::DataError that names the file, and the tensor, when it is missing or makes no sense, and
  // error::InputOutputError when it cannot be read.
  explicit SafetensorsFile(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::vector<StoredTensor>& tensors() const { return tensors_; }

 private:
  void Parse(const std::string& path);

  void* data_ = nullptr;
  size_t size_ = 0;
  std::vector<StoredTensor> tensors_;
};

// A copy in fp32.
at::Tensor ToFloat(const StoredTensor& stored);

}  // namespace mixln::worker::trainer::huggingface
