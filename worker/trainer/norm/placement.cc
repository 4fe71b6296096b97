#include "worker/trainer/norm/placement.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "worker/trainer/norm/admin.h"
#include "worker/trainer/norm/deepnorm.h"
#include "worker/trainer/norm/dlcl.h"
#include "worker/trainer/norm/group.h"
#include "worker/trainer/norm/lns.h"
#include "worker/trainer/norm/post.h"
#include "worker/trainer/norm/pre.h"
#include "worker/trainer/norm/sandwich.h"

namespace mixln::worker::trainer::norm {
namespace {

constexpr std::array<std::pair<Placement, std::string_view>, 8> kNames{{{Placement::kPre, "pre"},
                                                                        {Placement::kPost, "post"},
                                                                        {Placement::kSandwich, "sandwich"},
                                                                        {Placement::kDeepNorm, "deepnorm"},
                                                                        {Placement::kAdmin, "admin"},
                                                                        {Placement::kLns, "lns"},
                                                                        {Placement::kGroup, "group"},
                                                                        {Placement::kDlcl, "dlcl"}}};

}  // namespace

LayerForm FormOf(Placement placement, int layer, int layers) {
  if (layer < 0 || layer >= layers)
    throw std::invalid_argument("layer " + std::to_string(layer) + " is not one of " +
                                std::to_string(layers));
  switch (placement) {
    case Placement::kPre: return PreForm();
    case Placement::kPost: return PostForm();
    case Placement::kSandwich: return SandwichForm();
    case Placement::kDeepNorm: return DeepNormForm(layers);
    case Placement::kAdmin: return AdminForm();
    case Placement::kLns: return LnsForm(layer);
    case Placement::kGroup: return GroupForm();
    case Placement::kDlcl: return DlclForm();
  }
  throw std::invalid_argument("there is no placement number " + std::to_string(static_cast<int>(placement)));
}

Placement ParsePlacement(std::string_view name) {
  std::string known;
  for (const auto& [placement, its_name] : kNames) {
    if (its_name == name) return placement;
    known += (known.empty() ? "" : ", ") + std::string(its_name);
  }
  throw std::invalid_argument("unknown placement of a layer: \"" + std::string(name) + "\"; known are " +
                              known);
}

std::string_view Name(Placement placement) {
  return kNames.at(static_cast<size_t>(placement)).second;
}

}  // namespace mixln::worker::trainer::norm
