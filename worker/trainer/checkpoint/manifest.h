// manifest.json: what a checkpoint is and which files it has. It is written last, so a folder that has one is
// complete.
//
// A checkpoint is a folder `checkpoints/step-<9 digits>` with manifest.json and, for each rank,
// `rank-<5 digits>.safetensors`: the safetensors format (github.com/huggingface/safetensors), so that any
// tool can look into one. There a parameter's master weights stand under its own name, and its Adam moments
// under `exp_avg/<name>` and `exp_avg_sq/<name>`. A rank's tensor is a range of a whole tensor's elements in
// row-major order; one rank has them whole. Nothing is keyed by a flat offset, so another world size can read
// it. manifest.json ends with a checksum of its own text: a wrong step or shape is found as wrong weights
// are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::trainer::checkpoint {

inline constexpr int kFormatVersion = 3;

// A range of a tensor's elements in a rank's file.
struct TensorEntry {
  std::string name;            // as in the file
  std::vector<int64_t> shape;  // of the whole tensor
  int64_t begin = 0;           // first element of the range
  int64_t elements = 0;
  int64_t offset_bytes = 0;  // from the start of the file
  std::string xxh3_64;       // of the range's bytes, 16 hex digits
  bool operator==(const TensorEntry&) const = default;
};

struct FileEntry {
  std::string file;
  int64_t size_bytes = 0;
  std::string xxh3_64;  // of the whole file
  std::vector<TensorEntry> tensors;
  bool operator==(const FileEntry&) const = default;
};

// What the collapse detector (worker/trainer/loop/collapse.h) has seen of the training losses: means over
// blocks of steps of how far they lay above the unigram model's on the same targets, in nats a token.
struct LossHistory {
  int64_t block_steps = 0;     // steps in the block that is not full
  double block_sum = 0;        // over these
  std::vector<double> recent;  // means of the last full blocks, oldest first
  double lowest = 0;           // of all full blocks
  int64_t lowest_step = 0;     // last step of that block; 0: none was full
  bool operator==(const LossHistory&) const = default;
};

// There is no state of a random generator: initial weights and data order are pure functions of the seed, and
// nothing else is random.
struct Manifest {
  std::string trial_id;
  uint64_t term = 0;
  uint64_t epoch = 0;
  int64_t step = 0;    // updates done
  int64_t tokens = 0;  // trained on, padding left out
  // Where the next batch starts. It follows from step, batch and windows: checked on resume.
  int64_t data_epoch = 0;
  int64_t data_offset = 0;
  int64_t data_windows = 0;
  LossHistory loss_history;
  std::vector<std::string> layer_placements;  // "pre", "post", "sandwich", one for each layer
  std::string spec_json;                      // the trial's spec, compact, keys sorted
  std::string precision;                      // "fp32", "bf16"
  std::string device;                         // "cpu"
  std::string instruction_set;                // "avx2"
  int32_t threads = 0;
  int32_t world_size = 0;
  std::vector<FileEntry> files;  // one for each rank
  bool operator==(const Manifest&) const = default;
};

// XXH3-64 as 16 hex digits.
std::string Hash(std::string_view bytes);

// One file's entry as text, and back: what a rank tells rank 0.
std::string ToJson(const FileEntry& file);
FileEntry ParseFileEntry(std::string_view text);

// The text of manifest.json; the spec's hash and the text's own checksum are added.
std::string ToJson(const Manifest& manifest);

// Reads it back. Throws, beginning with `path`, DamagedError when it is not what was written, and
// error::InputOutputError when it has another format version.
Manifest ParseManifest(std::string_view text, const std::string& path);

// "pre", "sandwich", "mix with 2 post layers of 8", or "a model of layers lns, group".
std::string DescribePlacements(const std::vector<std::string>& layer_placements);

}  // namespace mixln::worker::trainer::checkpoint
