#pragma once

#include <cstddef>
#include <vector>

#include "worker/trainer/fsdp/unit.h"

namespace mixln::worker::trainer::fsdp {

// Brings each unit's parameters to its layer just in time and takes its gradient away: the order of
// collectives of a pass. While a layer computes, the next one's parameters are on their way, and so is the
// gradient of the one before. So at most two units' parameters and two units' gradients are whole at any
// time, beside the first unit's where the head uses them too.
//
// Units are numbered as they are used: the embedding first, the head last. All ranks go through them in the
// same order. With one rank nothing is to be done, and nothing is.
class Pipeline {
 public:
  struct Options {
    bool reshard = true;      // let go of parameters between the forward and the backward pass
    bool keep_first = false;  // not of the first unit's: the head uses them too
  };
  Pipeline(std::vector<Unit*> units, const Options& options);

  void BeginForward(size_t unit);
  void EndForward(size_t unit);

  // The first unit's weights are not needed in its backward pass, only its gradient.
  void BeginBackward(size_t unit);
  void EndBackward(size_t unit);

  // After the last backward pass before an update: every gradient is with its owner.
  void Finish();

 private:
  bool Kept(size_t unit) const { return !options_.reshard || (unit == 0 && options_.keep_first); }

  std::vector<Unit*> units_;
  Options options_;
  Unit* reducing_ = nullptr;
};

}  // namespace mixln::worker::trainer::fsdp
