#include "coordinator/sweep/defaults.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace mixln::coordinator::sweep {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void Fill(Message& spec, const Message& defaults) {
  const Reflection& reflection = *spec.GetReflection();
  for (int i = 0; i < spec.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = spec.GetDescriptor()->field(i);
    if (field->is_repeated()) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      if (reflection.GetEnumValue(spec, field) == 0) {
        reflection.SetEnumValue(&spec, field, reflection.GetEnumValue(defaults, field));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
               reflection.HasField(defaults, field)) {
      if (reflection.HasField(spec, field)) {
        Fill(*reflection.MutableMessage(&spec, field), reflection.GetMessage(defaults, field));
      } else {
        reflection.MutableMessage(&spec, field)->CopyFrom(reflection.GetMessage(defaults, field));
      }
    }
  }
}

}  // namespace

v1::TrialSpec Defaults() {
  v1::TrialSpec spec;
  v1::ModelSpec& model = *spec.mutable_model();
  model.set_rope_theta(10000);
  model.set_norm_eps(1e-6);
  spec.mutable_norm()->set_placement(v1::PLACEMENT_MIX);
  spec.mutable_norm()->set_alpha(0.25);  // the paper's best share at 1B
  spec.mutable_norm()->set_kind(v1::NORM_KIND_RMSNORM);
  spec.mutable_init()->set_std(0.02);
  spec.mutable_init()->set_embedding_std(0.02);
  v1::DataSpec& data = *spec.mutable_data();
  data.set_reading(v1::READING_PACKED);
  data.set_context(256);
  data.set_validation_fraction(0.05);
  data.set_split(v1::DOCUMENT_SPLIT_PARAGRAPH);
  v1::TrainSpec& train = *spec.mutable_train();
  train.mutable_batch();
  train.set_schedule(v1::SCHEDULE_COSINE);
  train.set_min_lr_ratio(0.1);
  train.set_decay_share(0.1);
  train.set_beta1(0.9);
  train.set_beta2(0.999);
  train.set_adam_eps(1e-8);
  train.set_clip_norm(1);
  train.set_precision(v1::PRECISION_BF16);
  train.set_deterministic(true);
  spec.mutable_eval()->set_every_steps(500);
  spec.mutable_eval()->set_tokens(1'000'000);
  spec.mutable_checkpoint()->set_every_steps(500);
  spec.mutable_resources()->set_device(v1::DEVICE_AUTO);
  spec.mutable_resources()->set_ranks(1);
  spec.mutable_retry()->set_max_retries(3);
  spec.mutable_limits()->set_detect_collapse(true);
  spec.mutable_sharding()->set_accumulate(v1::ACCUMULATE_REDUCE_EACH);
  spec.mutable_sharding()->set_reshard_after_forward(true);
  return spec;
}

void FillDefaults(v1::TrialSpec& spec) {
  static const v1::TrialSpec defaults = Defaults();
  const bool vector_given = spec.norm().layer_placements_size() > 0;
  const v1::Placement placement = spec.norm().placement();
  Fill(spec, defaults);
  if (vector_given) spec.mutable_norm()->set_placement(placement);
}

}  // namespace mixln::coordinator::sweep
