#include "worker/trainer/norm/placement.h"

#include <stdexcept>

#include "worker/trainer/norm/post.h"
#include "worker/trainer/norm/pre.h"

namespace mixln::worker::trainer::norm {

LayerForm FormOf(Placement placement, int layer, int layers) {
  if (layer < 0 || layer >= layers)
    throw std::invalid_argument("layer " + std::to_string(layer) + " is not one of " +
                                std::to_string(layers));
  return placement == Placement::kPre ? PreForm() : PostForm();
}

Placement ParsePlacement(std::string_view name) {
  if (name == "pre") return Placement::kPre;
  if (name == "post") return Placement::kPost;
  throw std::invalid_argument("unknown placement of a layer: \"" + std::string(name) +
                              "\"; known are pre and post");
}

std::string_view Name(Placement placement) {
  return placement == Placement::kPre ? "pre" : "post";
}

}  // namespace mixln::worker::trainer::norm
