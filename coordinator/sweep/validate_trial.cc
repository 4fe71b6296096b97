#include "coordinator/sweep/validate_trial.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/preset/preset.h"
#include "base/text/suggest.h"
#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/field.h"
#include "coordinator/sweep/presets.h"
#include "coordinator/sweep/resolve.h"

namespace mixln::coordinator::sweep {
namespace {

using google::protobuf::FieldDescriptor;

struct Range {
  std::string_view path;
  double low = 0;
  double high = 0;
  bool open_low = false;  // the bound itself is not allowed
  bool open_high = false;
  std::string_view advice;
};

constexpr double kAny = 1e300;  // no upper bound but that the number is finite

// Smallest vocabulary: pad, eos and unk, 256 bytes, and room for letters.
constexpr int kMinVocabulary = 300;

// Of placement group; the trainer's number (worker/trainer/norm/group.h).
constexpr int kGroups = 8;

constexpr std::string_view kSizeAdvice = "give it, or name a preset";

constexpr Range kRanges[] = {
    {.path = "model.vocab_size", .high = kMaxVocabulary, .advice = "0 stands for the tokenizer's vocabulary"},
    {.path = "model.hidden_size", .low = 1, .high = kMaxChannels, .advice = kSizeAdvice},
    {.path = "model.intermediate_size", .low = 1, .high = kMaxChannels, .advice = kSizeAdvice},
    {.path = "model.layers", .low = 1, .high = kMaxLayers, .advice = kSizeAdvice},
    {.path = "model.heads", .low = 1, .high = kMaxChannels, .advice = kSizeAdvice},
    {.path = "model.kv_heads", .high = kMaxChannels, .advice = "0 stands for as many as model.heads"},
    {.path = "model.rope_theta", .high = kAny, .open_low = true, .advice = "10000 is usual"},
    {.path = "model.norm_eps", .high = 1, .open_low = true, .advice = "1.0e-6 is usual"},
    {.path = "norm.alpha", .high = 1, .advice = "it is the share of post layers"},
    {.path = "init.std", .high = kAny, .open_low = true, .advice = "0.02 is usual"},
    {.path = "init.embedding_std", .high = kAny, .open_low = true, .advice = "0.02 is usual"},
    {.path = "data.context",
     .low = 2,
     .high = kMaxContext,
     .advice = "it is the length of a sequence in tokens"},
    {.path = "data.validation_fraction",
     .high = 0.5,
     .open_low = true,
     .advice = "it is the share of documents held out for evaluation"},
    {.path = "train.steps", .low = 1, .high = kMaxSteps, .advice = "it is the number of optimizer updates"},
    {.path = "train.batch.sequences", .low = 1, .high = kMaxSequences, .advice = "it is the global batch"},
    {.path = "train.batch.micro_sequences",
     .high = kMaxSequences,
     .advice = "0 stands for as many as a rank has"},
    {.path = "train.lr",
     .high = kAny,
     .open_low = true,
     .advice = "it is the peak learning rate, such as 1.0e-3"},
    {.path = "train.warmup_steps", .high = kMaxSteps, .advice = "0 stands for no warm-up"},
    {.path = "train.min_lr_ratio", .high = 1, .advice = "it is a share of the peak learning rate"},
    {.path = "train.decay_share", .high = 1, .advice = "it is the share of the updates that decay"},
    {.path = "train.beta1", .high = 1, .open_high = true, .advice = "0.9 is usual"},
    {.path = "train.beta2", .high = 1, .open_high = true, .advice = "0.999 is usual"},
    {.path = "train.adam_eps", .high = kAny, .open_low = true, .advice = "1.0e-8 is usual"},
    {.path = "train.weight_decay", .high = kAny, .advice = "0 stands for none"},
    {.path = "train.clip_norm", .high = kAny, .advice = "0 stands for no clipping"},
    {.path = "train.seed", .high = 9.3e18, .advice = "count seeds from 0"},
    {.path = "eval.every_steps",
     .high = kMaxSteps,
     .advice = "0 stands for only the one after the last step"},
    {.path = "eval.tokens", .high = 9.3e18, .advice = "0 stands for all"},
    {.path = "checkpoint.every_steps",
     .high = kMaxSteps,
     .advice = "0 stands for only the one after the last step"},
    {.path = "resources.ranks",
     .low = 1,
     .high = kMaxRanks,
     .advice = "it is the number of trainer processes"},
    {.path = "retry.max_retries", .high = 1e6, .advice = "0 stands for none"},
    {.path = "limits.max_runtime_seconds", .high = 1e12, .advice = "0 stands for no limit"},
};

bool Holds(const Range& range, double value) {
  return std::isfinite(value) && (range.open_low ? value > range.low : value >= range.low) &&
         (range.open_high ? value < range.high : value <= range.high);
}

// Whole numbers in full: 1000000, not 1e+06.
std::string InFull(double value) {
  const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
  return whole ? absl::StrCat(static_cast<int64_t>(value)) : absl::StrCat(value);
}

std::string Bounds(const Range& range) {
  if (range.high < 1e6) {
    return absl::StrCat("in ", range.open_low ? "(" : "[", range.low, ", ", range.high,
                        range.open_high ? ")" : "]");
  }
  std::string text = absl::StrCat(range.open_low ? "greater than " : "at least ", range.low);
  if (range.high < kAny) absl::StrAppend(&text, " and at most ", static_cast<uint64_t>(range.high));
  return text;
}

class Problems {
 public:
  template <typename... Words>
  void Add(const std::string& path, const Words&... words) {
    list_.push_back({.path = path, .message = absl::StrCat(words...)});
  }
  std::vector<Problem> Take() { return std::move(list_); }

 private:
  std::vector<Problem> list_;
};

// Numbers beyond the enum's values can arrive in a message, where proto3 keeps them.
void CheckEnums(const v1::TrialSpec& spec, Problems& problems) {
  static const std::vector<std::pair<std::string, FieldPath>> enums = [] {
    std::vector<std::pair<std::string, FieldPath>> found;
    for (const std::string& path : InputPaths()) {
      FieldPath fields = FindPath(path);
      if (fields.back()->cpp_type() == FieldDescriptor::CPPTYPE_ENUM && !fields.back()->is_repeated()) {
        found.emplace_back(path, std::move(fields));
      }
    }
    return found;
  }();
  for (const auto& [path, fields] : enums) {
    const auto number = static_cast<int>(NumberAt(spec, fields));
    if (number != 0 && fields.back()->enum_type()->FindValueByNumber(number) == nullptr) {
      problems.Add(path, "is the unknown value number ", number, ": give ", TypeName(*fields.back()));
    }
  }
}

bool NamesAFile(const std::string& text) {
  return !text.empty() &&
         std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 127; });
}

void CheckTexts(const v1::TrialSpec& spec, Problems& problems) {
  const std::string& preset = spec.model().preset();
  if (!preset.empty() && base::preset::FindPreset(preset) == nullptr) {
    const std::string near = base::Suggest(preset, base::preset::PresetNames());
    problems.Add("model.preset", "unknown preset `", preset.substr(0, 60), "`",
                 near.empty() ? "" : absl::StrCat(", did you mean `", near, "`?"),
                 near.empty() ? "; give one of " : " One of ",
                 absl::StrJoin(base::preset::PresetNames(), ", "));
  }
  if (spec.data().source().empty()) {
    problems.Add("data.source",
                 "names no files: give the files or patterns of the corpus, such as [corpus/*.txt]");
  }
  for (int i = 0; i < spec.data().source_size(); ++i) {
    if (!NamesAFile(spec.data().source(i))) {
      problems.Add(absl::StrCat("data.source[", i, "]"),
                   "is empty or has control characters: give a file or a pattern");
    }
  }
  if (!spec.init().from().empty() && !NamesAFile(spec.init().from())) {
    problems.Add("init.from", "has control characters: give the folder of a Hugging Face model");
  }
  const v1::TokenizerSpec& tokenizer = spec.data().tokenizer();
  if (!tokenizer.model().empty() && !NamesAFile(tokenizer.model())) {
    problems.Add("data.tokenizer.model", "has control characters: give the path of a SentencePiece model");
  }
  if (tokenizer.model().empty() == !tokenizer.has_train()) {
    problems.Add("data.tokenizer",
                 tokenizer.has_train() ? "has both model and train" : "has neither model nor train",
                 ": give exactly one, the path of a SentencePiece model, or train: {vocab: 4096} to train "
                 "one on the corpus");
  }
  if (tokenizer.has_train()) {
    const int vocab = tokenizer.train().vocab();
    if (vocab < kMinVocabulary || vocab > kMaxVocabulary) {
      problems.Add("data.tokenizer.train.vocab", "must be at least ", kMinVocabulary, " and at most ",
                   kMaxVocabulary, ", not ", vocab,
                   ": it holds 3 special pieces and 256 bytes before the first word");
    }
  }
}

bool IsOfALayer(int placement) {
  return v1::Placement_IsValid(placement) && placement != v1::PLACEMENT_UNSPECIFIED &&
         placement != v1::PLACEMENT_MIX && placement != v1::PLACEMENT_DLCL &&
         placement != v1::PLACEMENT_CUSTOM;
}

std::vector<std::string> LayerPlacementNames() {
  std::vector<std::string> names;
  const auto& type = *v1::Placement_descriptor();
  for (int i = 0; i < type.value_count(); ++i) {
    if (IsOfALayer(type.value(i)->number())) names.push_back(ValueName(*type.value(i)));
  }
  return names;
}

// Whether a placement that was given beside a vector agrees with it.
bool Describes(v1::Placement placement, const google::protobuf::RepeatedField<int>& vector) {
  if (placement == v1::PLACEMENT_CUSTOM) return true;
  return std::all_of(vector.begin(), vector.end(), [&](int layer) {
    const bool mixes = layer == v1::PLACEMENT_PRE || layer == v1::PLACEMENT_POST;
    return placement == v1::PLACEMENT_MIX ? mixes : layer == placement;
  });
}

void RelateShape(const v1::ModelSpec& model, Problems& problems) {
  const int hidden = model.hidden_size(), heads = model.heads(), kv_heads = model.kv_heads();
  if (heads < 1) return;
  if (hidden >= 1) {
    if (hidden % heads != 0) {
      problems.Add("model.heads", heads, " heads do not divide hidden_size ", hidden,
                   ": choose one that leaves no remainder");
    } else if (hidden / heads % 2 != 0) {
      problems.Add("model.heads", heads, " heads of hidden_size ", hidden, " have ", hidden / heads,
                   " channels each: rotary positions need an even number");
    }
  }
  if (kv_heads > 0 && heads % kv_heads != 0) {
    problems.Add("model.kv_heads", kv_heads, " key and value heads do not divide ", heads, " heads");
  }
}

// What is wrong with a vector of placements itself.
void CheckVector(const v1::NormSpec& norm, int layers, Problems& problems) {
  const auto& vector = norm.layer_placements();
  if (layers >= 1 && vector.size() != layers) {
    problems.Add("norm.layer_placements", "has ", vector.size(), vector.size() == 1 ? " entry" : " entries",
                 " for a model of ", layers, layers == 1 ? " layer" : " layers", ": give one for each layer");
  }
  for (int i = 0; i < vector.size(); ++i) {
    const std::string path = absl::StrCat("norm.layer_placements[", i, "]");
    if (vector[i] == v1::PLACEMENT_DLCL) {
      problems.Add(path, "is dlcl, a placement of the whole model: write norm.placement: dlcl instead");
      return;
    }
    if (!IsOfALayer(vector[i])) {
      problems.Add(path, "must be ", absl::StrJoin(LayerPlacementNames(), ", "),
                   ": it is the placement of one layer");
      return;
    }
  }
}

void RelateNorm(const v1::NormSpec& norm, int layers, Problems& problems) {
  if (norm.post_layers() != 0) {
    problems.Add("norm.post_layers", "is computed from norm.alpha and model.layers: leave it out");
  }
  if (norm.layer_placements().empty()) {
    if (norm.placement() == v1::PLACEMENT_CUSTOM) {
      problems.Add("norm.placement",
                   "is custom, but norm.layer_placements is missing: give the placement of each layer");
    }
    return;
  }
  CheckVector(norm, layers, problems);
  if (norm.placement() != v1::PLACEMENT_UNSPECIFIED &&
      !Describes(norm.placement(), norm.layer_placements())) {
    problems.Add("norm.placement", "is ", PlacementName(norm.placement()),
                 ", but norm.layer_placements says otherwise: leave one of them out");
  }
  if (norm.alpha() != 0) {
    problems.Add("norm.alpha",
                 "and norm.layer_placements are two ways to say the same: leave one of them out");
  }
}

// What a placement asks of the rest of the model.
void RelateLayers(const v1::TrialSpec& spec, const v1::ModelSpec& model, Problems& problems) {
  const auto has = [&](v1::Placement placement) {
    const auto& vector = spec.norm().layer_placements();
    return spec.norm().placement() == placement ||
           std::find(vector.begin(), vector.end(), placement) != vector.end();
  };
  if (has(v1::PLACEMENT_GROUP) && model.hidden_size() % kGroups != 0) {
    const bool by_layer = !spec.norm().layer_placements().empty();
    problems.Add(by_layer ? "norm.layer_placements" : "norm.placement", "group norms ", kGroups,
                 " groups of channels, which do not divide hidden_size ", model.hidden_size(),
                 ": choose a multiple of ", kGroups);
  }
  if (has(v1::PLACEMENT_DEEPNORM) && spec.init().scaled()) {
    problems.Add("init.scaled",
                 "does not go with deepnorm, which has an initialization of its own: leave it out");
  }
}

void RelateDecay(const v1::TrainSpec& train, Problems& problems) {
  const auto decay = std::llround(train.decay_share() * static_cast<double>(train.steps()));
  if (decay < 1) {
    problems.Add(
        "train.decay_share", train.decay_share(), " of ", train.steps(),
        " steps leaves schedule wsd nothing to decay in: give the share of one step at least, or take "
        "schedule constant");
  } else if (train.warmup_steps() + decay > train.steps()) {
    problems.Add("train.decay_share", "warm-up of ", train.warmup_steps(), " steps and decay of ", decay,
                 " are longer than training, ", train.steps(), " steps: shorten one of them");
  }
}

void RelateTraining(const v1::TrialSpec& spec, Problems& problems) {
  const v1::TrainSpec& train = spec.train();
  if (train.steps() >= 1 && train.warmup_steps() > train.steps()) {
    problems.Add("train.warmup_steps", "warm-up of ", train.warmup_steps(),
                 " steps is longer than training, ", train.steps(),
                 " steps: a tenth of train.steps is usual");
  } else if (train.schedule() == v1::SCHEDULE_WSD && train.steps() >= 1) {
    RelateDecay(train, problems);
  }
  const int sequences = train.batch().sequences(), micro = train.batch().micro_sequences();
  if (sequences < 1) return;
  if (micro > sequences) {
    problems.Add("train.batch.micro_sequences", micro, " is more than the global batch of ", sequences,
                 " sequences");
  } else if (micro > 0 && sequences % micro != 0) {
    problems.Add("train.batch.micro_sequences", micro, " does not divide the global batch of ", sequences,
                 " sequences");
  }
  const int ranks = spec.resources().ranks();
  if (ranks > sequences) {
    problems.Add("resources.ranks", ranks, " ranks cannot share a global batch of ", sequences,
                 sequences == 1 ? " sequence" : " sequences", ": each needs one at least");
  }
}

}  // namespace

std::vector<Problem> ValidateFields(const v1::TrialSpec& spec) {
  static const std::vector<std::pair<Range, FieldPath>> ranges = [] {
    std::vector<std::pair<Range, FieldPath>> with_paths;
    for (const Range& range : kRanges) with_paths.emplace_back(range, FindPath(range.path));
    return with_paths;
  }();
  Problems problems;
  v1::TrialSpec with_preset;
  if (!spec.model().preset().empty()) {
    with_preset = spec;
    ApplyPreset(*with_preset.mutable_model());
  }
  const v1::TrialSpec& trial = spec.model().preset().empty() ? spec : with_preset;
  for (const auto& [range, path] : ranges) {
    // Sizes that an unknown preset would give are not missing.
    if (IsPresetSize(range.path) && !trial.model().preset().empty() && NumberAt(trial, path) == 0) continue;
    const double value = NumberAt(trial, path);
    if (!Holds(range, value)) {
      problems.Add(std::string(range.path), "must be ", Bounds(range), ", not ", InFull(value), ": ",
                   std::string(range.advice));
    }
  }
  CheckEnums(trial, problems);
  CheckTexts(trial, problems);
  return problems.Take();
}

std::vector<Problem> ValidateRelations(const v1::TrialSpec& spec) {
  Problems problems;
  v1::ModelSpec model = spec.model();
  ApplyPreset(model);
  RelateShape(model, problems);
  RelateNorm(spec.norm(), model.layers(), problems);
  RelateLayers(spec, model, problems);
  const int vocab = spec.data().tokenizer().train().vocab();
  if (model.vocab_size() > 0 && spec.data().tokenizer().has_train() && vocab >= kMinVocabulary &&
      model.vocab_size() != vocab) {
    problems.Add("model.vocab_size", "vocabulary of ", model.vocab_size(), " is not that of the tokenizer, ",
                 vocab, ": leave it out, or make data.tokenizer.train.vocab equal");
  }
  RelateTraining(spec, problems);
  return problems.Take();
}

}  // namespace mixln::coordinator::sweep
