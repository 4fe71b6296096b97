#include "worker/trainer/norm/group.h"

#include "worker/trainer/norm/pre.h"

namespace mixln::worker::trainer::norm {

LayerForm GroupForm() {
  LayerForm form = PreForm();
  form.attention.before_groups = form.mlp.before_groups = kGroups;
  return form;
}

}  // namespace mixln::worker::trainer::norm
