// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one seam between what we decide and the kernel. Two implementations: KernelHost, and FakeHost
// in tests/support; one contract suite (tests/reconcile/host_contract.h) holds both to this.
//
// A Host belongs to one thread and one network namespace.

#include <span>
#include <vector>

#include "base/result.h"
#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

struct StepFailure {
    size_t index = 0;  // of the step in the span (in a Round: in the plan)
    Error error;
};

class Host {
public:
    virtual ~Host() = default;

    // Reads and changes nothing. `want` says where to look for foreign objects in the way.
    // Code::Denied without CAP_NET_ADMIN once there is a device of ours.
    virtual Result<Observed> observe(const Desired& want, Scope scope) = 0;

    // Carries out all steps, in order; a failure does not stop those behind it. Removing what is
    // not there is success. Adding what is there is Code::Exists. A step on a device that is not
    // ours fails.
    virtual std::vector<StepFailure> apply(std::span<const Step> steps) = 0;
};

}  // namespace cvlan::reconcile
